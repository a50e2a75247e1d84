"""Words by what they tell about a prompt; all lower-case, as prompts are read."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOPWORDS = _words(
    """
    a an the of to in on at for and or is are was were be been being by with as that this
    these those it its from which what who whom whose when where has have had do does did than
    then so into about between under over after before during while there such same other any
    each some only also all both no if but
    """
)
"""Words that carry grammar rather than matter."""

PRONOUNS = _words(
    """
    he she his her him they them their we our us i my me you your himself herself themselves
    """
)

MODALS = _words(
    """
    would should could might may must can will likely best most probably
    """
)

NEGATIONS = _words(
    """
    not except false incorrect least never none nor cannot without
    """
)

CONDITIONS = _words(
    """
    if suppose assume given let provided unless whether
    """
)

ARGUMENT = _words(
    """
    because therefore however although thus hence since argue argued argues argument claim
    claims reason reasons conclude implies
    """
)
"""Words that link the steps of an argument."""

REASONING = _words(
    """
    explain explaining analyze analyse compare contrast tradeoff tradeoffs trade-off
    trade-offs prove proof derive design architect implement optimize optimise evaluate
    critique justify step-by-step implications assess elaborate outline summarize summarise
    discuss interpret diagnose investigate argue plan why refute weigh synthesize synthesise
    overview pros cons in-depth
    """
)
"""Who says one of these asks for more than a fact."""

CODING = _words(
    """
    python javascript typescript java rust golang kotlin swift php ruby perl haskell sql bash
    html css c++ c# regex json yaml xml api apis rest restful graphql grpc endpoint endpoints
    backend frontend microservice function functions algorithm algorithms code coding script
    scripts program compile compiler debug debugging refactor refactoring traceback stacktrace
    unittest pytest async mutex recursion recursive docker dockerfile kubernetes repository
    sdk cli flask django fastapi express react numpy pandas dataframe crud parser middleware
    schema query queries database bug bugs segfault nullpointerexception
    """
)
"""Languages, tools and things of programming."""

TECHNICAL = _words(
    """
    iid non-iid distribution distributions heterogeneous homogeneous federated gradient
    gradients convergence divergence stochastic bayesian posterior likelihood regression
    regularization regularisation attention transformer transformers mechanism mechanisms
    neural network networks embedding embeddings tokenizer quantization quantisation latency
    throughput bandwidth concurrency distributed consensus replication sharding partition
    partitions cache caching kernel scheduler edge encryption cryptography cryptographic
    protocol protocols topology theorem lemma eigenvalue eigenvalues matrix matrices tensor
    tensors integral derivative differential polynomial asymptotic complexity np-hard
    heuristic optimization optimisation entropy quantum entanglement superposition relativity
    thermodynamics enthalpy isotope catalyst stoichiometry molecular genome genomic
    mitochondrial enzyme enzymes receptor receptors pathogenesis etiology pharmacokinetics
    contraindications jurisdiction liability tort statute statutory fiduciary arbitration
    plaintiff defendant amortization amortisation derivatives hedging liquidity elasticity
    monetary fiscal econometric endogeneity covariance variance estimator hypothesis
    epistemology epistemological ontology ontological utilitarianism deontological hermeneutic
    semantics syntax compiler runtime garbage-collection deadlock microarchitecture
    semiconductor impedance capacitance transistor amplifier feedback modulation aggregation
    aggregations differential-privacy privacy-preserving client-side on-device inference
    pipeline architecture architectures distillation
    """
)
"""Terms of a trade or a science."""

SMALL_TALK = _words(
    """
    hi hello hey hiya howdy yo greetings good morning afternoon evening night day there how
    are you doing today going is it everything all friend everyone folks thanks thank thx ty
    cheers very much so a lot for your the help ok okay cool great nice perfect awesome bye
    goodbye see later welcome what's up sup to meet pleased how's things again have well and
    lovely
    """
)
"""A prompt of nothing but these is a greeting, thanks or a farewell."""

COURTESIES = _words(
    """
    hi hello hey hiya howdy yo greetings thanks thank thx ty cheers bye goodbye
    """
)
"""How a greeting, thanks or a farewell begins."""

OPENERS = _words(
    """
    hi hello hey please so and ok okay could can would you tell me do know quick question just
    """
)
"""What people say before they come to the point."""

FACTUAL = _words(
    """
    what what's whats who who's whos when when's where where's which whose name
    """
)
"""How a question for a fact begins. Whether something is so may be the hardest question of all, and
`was` and `is` are words of other languages as well."""

QUANTITY = _words(
    """
    many much old tall far long big high deep heavy fast often late
    """
)
"""What follows `how` in a question for a fact."""

ERRANDS = _words(
    """
    translate spell define say repeat capitalize capitalise tell rhyme pick remind pronounce
    """
)
"""Small things to do with a few words. What tier 0 has not calculated is none of them."""

WORKED_OUT = _words(
    """
    difference differences differ similarity similarities relationship relation effect effects
    affect cause causes consequence consequences impact role advantages disadvantages benefits
    drawbacks strengths weaknesses limitations best better worse should would could might
    probability odds chance chances root roots output solution solutions
    """
)
"""A question with one of these is not answered by looking a fact up."""

FOLLOW_UPS = _words(
    """
    yes yeah yep yup no nope nah sure ok okay right true correct exactly really why how so what
    and then also continue go on keep going proceed more next again another one try do it that
    this the same done stop wait sorry not else elaborate explain further first second third
    last both neither either me
    """
)
"""A few of these, and no other word, name nothing: they carry on what was said before."""
