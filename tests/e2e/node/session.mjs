// OpenAI's own Node.js client against a node: one JSON line per step on stdout.
// Run as: node session.mjs URL API_KEY
import OpenAI from "openai";

const [url, apiKey] = process.argv.slice(2);
const model = "smollm2-135m";
const options = { baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 120_000 };
const client = new OpenAI(options);
const messages = [{ role: "user", content: "Tell me a short story about a river." }];

function tell(step, result) {
  console.log(JSON.stringify({ step, ...result }));
}

async function refusal(ask) {
  try {
    await ask();
  } catch (error) {
    const { status, code, param, type } = error;
    return { name: error.constructor.name, status, code, param, type };
  }
  return { name: null };
}

const { data: whole, response } = await client.chat.completions
  .create({ model, messages, max_tokens: 8, temperature: 0 })
  .withResponse();
tell("chat", {
  content: whole.choices[0].message.content,
  finish_reason: whole.choices[0].finish_reason,
  usage: whole.usage,
  routed_model: response.headers.get("x-octomil-routed-model"),
});

const stream = await client.chat.completions.create({
  model,
  messages,
  max_tokens: 8,
  temperature: 0,
  stream: true,
  stream_options: { include_usage: true },
});
const pieces = [];
let usage = null;
for await (const chunk of stream) {
  pieces.push(chunk.choices[0]?.delta?.content ?? "");
  usage = chunk.usage ?? usage;
}
tell("stream", { pieces: pieces.filter(Boolean), usage });

const schema = {
  type: "object",
  properties: { capital: { enum: ["Paris", "Rome"] }, certain: { type: "boolean" } },
  required: ["capital", "certain"],
  additionalProperties: false,
};
// Room for the longest answer under the grammar, which bounds the white space between two tokens.
const structured = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "What is the capital of France?" }],
  temperature: 0,
  max_tokens: 400,
  response_format: { type: "json_schema", json_schema: { name: "capital", schema } },
});
tell("schema", { answer: JSON.parse(structured.choices[0].message.content) });

const embedded = await client.embeddings.create({
  model: "all-minilm-l6-v2",
  input: ["cat", "kitten", "revenue"],
});
const [cat, kitten, revenue] = embedded.data.map((row) => row.embedding);
const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
tell("embeddings", {
  width: cat.length,
  cat_cat: dot(cat, cat),
  cat_kitten: dot(cat, kitten),
  cat_revenue: dot(cat, revenue),
});

const names = [];
for await (const found of client.models.list()) names.push(found.id);
tell("models", { names, retrieved: (await client.models.retrieve(model)).id });

tell("unknown model", await refusal(() =>
  client.chat.completions.create({ model: "gpt-9", messages })));
tell("bad request", await refusal(() =>
  client.chat.completions.create({ model, messages, temperature: "hot" })));
tell("wrong key", await refusal(() =>
  new OpenAI({ ...options, apiKey: "wrong" }).models.list()));

const endless = await client.chat.completions.create({
  model,
  messages,
  max_tokens: 2000,
  logit_bias: { 2: -100 }, // no <|im_end|>, so that it never ends by itself
  stream: true,
});
let seen = 0;
for await (const chunk of endless) {
  if (chunk.choices[0]?.delta?.content && ++seen === 3) endless.controller.abort();
}
tell("abort", { seen, aborted: endless.controller.signal.aborted });

const after = await client.chat.completions.create({ model, messages, max_tokens: 2, n: 2 });
tell("after", { choices: after.choices.length });
