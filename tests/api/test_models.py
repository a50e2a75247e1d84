"""`GET /v1/models`."""

from support.nodes import client_of, composed_node


def test_list_has_auto_and_every_model_in_openai_s_form(echo_server):
    answer = echo_server.get("/v1/models").json()

    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]][:3] == ["auto", "small", "large"]
    for model in answer["data"]:
        assert model.keys() == {"id", "object", "created", "owned_by"}
        assert model["object"] == "model"
        assert model["created"] > 1_700_000_000
    owners = {model["id"]: model["owned_by"] for model in answer["data"]}
    assert (owners["auto"], owners["small"]) == ("octomil", "echo")


def test_model_can_be_asked_for_by_its_name(echo_server):
    listed = {model["id"]: model for model in echo_server.get("/v1/models").json()["data"]}

    assert echo_server.get("/v1/models/small").json() == listed["small"]
    assert echo_server.get("/v1/models/auto").json() == listed["auto"]


def test_unknown_model_is_a_404_in_openai_s_form(echo_server):
    for name in ("gpt-9", "a/b", "%00%0dSet-Cookie:x", "%ff", ""):
        response = echo_server.get(f"/v1/models/{name}")

        assert response.status_code == 404
        error = response.json()["error"]
        assert error["message"].endswith("is served here")
        assert (error["type"], error["param"], error["code"]) == (
            "invalid_request_error",
            "model",
            "model_not_found",
        )


async def test_auto_is_not_listed_where_nothing_is_routed():
    async with composed_node("echo:only", embedder=None) as node, client_of(node) as client:
        listed = (await client.get("/v1/models")).json()["data"]

    assert [model["id"] for model in listed] == ["only"]
