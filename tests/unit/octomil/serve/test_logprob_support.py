from octomil.serve.logprob_support import LogprobSupport


def test_engine_is_asked_until_an_answer_shows_that_it_tells_nothing():
    support = LogprobSupport()
    assert support.may_tell("small")

    support.learn("small", tells=False)

    assert not support.may_tell("small")
    assert support.may_tell("large")


def test_one_answer_without_log_probabilities_is_no_proof_against_one_that_had_them():
    support = LogprobSupport()
    support.learn("small", tells=True)
    support.learn("small", tells=False)

    assert support.may_tell("small")


def test_answer_with_log_probabilities_is_proof_at_any_time():
    support = LogprobSupport()
    support.learn("small", tells=False)
    support.learn("small", tells=True)

    assert support.may_tell("small")


def test_engine_that_was_loaded_anew_is_asked_again():
    support = LogprobSupport()
    support.learn("small", tells=False)

    support.forget("small")

    assert support.may_tell("small")
