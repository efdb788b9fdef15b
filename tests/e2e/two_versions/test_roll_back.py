"""Roll-back by command, and what a hand has done in between."""

import pytest

from produtos.errors import BadInput
from produtos.registry import registry
from tests.e2e.two_versions.promoting import Promote


def test_rolling_back_goes_to_what_was_there_before(promote: Promote) -> None:
    promote("--version", "2")
    said, _ = promote("--rollback", "--dry-run")
    assert said == "would put version 1 back into Production, for 2\n"
    assert promote.places()[1] == {"production": "2"}
    said, _ = promote("--rollback", "--reason", "erro em livros")
    assert said == "version 1 is back in Production; version 2 is archived\n"
    assert promote.places() == ({"1": "Production", "2": "Archived"}, {"production": "1"})
    assert promote.version("2").tags["rolled_back.reason"] == "erro em livros"
    assert (
        promote.version("1").tags["promotion.reason"] == "roll-back from version 2: erro em livros"
    )
    # Not back and forth: what was there before version 1 is not known.
    with pytest.raises(BadInput, match="not on record what was in Production before version 1"):
        promote("--rollback")


def test_each_roll_back_goes_one_step_further_back(promote: Promote) -> None:
    promote("--version", "2")
    promote("--version", "1", "--force")
    for number in ("2", "1"):
        promote("--rollback")
        assert promote.places()[1] == {"production": number}
    with pytest.raises(BadInput, match="not on record what was in Production before version 1;"):
        promote("--rollback")


def test_what_a_hand_moved_is_not_rolled_back_by_guess(promote: Promote) -> None:
    promote("--version", "2")
    for number in ("1", "2"):
        promote.by_hand(number, archive=True)
    with pytest.raises(BadInput, match=r"moved or edited by hand since; .*--version 1 --force"):
        promote("--rollback")
    # The next move by command knows what a hand put there.
    promote.by_hand("1", archive=True)
    promote("--version", "2")
    promote("--rollback")
    assert promote.places()[1] == {"production": "1"}


def test_who_forced_it_and_why_stays_on_record(promote: Promote) -> None:
    promote("--version", "2")
    promote("--version", "1", "--force", "--reason", "saudade")
    assert promote("--version", "1")[0] == "version 1 was in Production already\n"
    tags = promote.version("1").tags
    assert (tags["promotion.reason"], tags["promotion.forced"]) == ("saudade", "yes")
    promote("--version", "1", "--reason", "muita saudade")
    tags = promote.version("1").tags
    assert (tags["promotion.reason"], tags["promotion.forced"]) == ("muita saudade", "yes")


def test_two_versions_that_a_hand_left_in_production(promote: Promote) -> None:
    promote.by_hand("2", archive=False)
    said, _ = promote("--version", "1", "--force", "--dry-run")
    assert said.splitlines()[-1] == (
        "would leave version 1 in Production; version 2 would be archived"
    )
    said, _ = promote("--version", "1", "--force")
    assert said.splitlines()[-1] == "version 1 was in Production already; version 2 is archived"
    # An alias names no version that is archived.
    assert promote.places() == ({"1": "Production", "2": "Archived"}, {"production": "1"})


def test_a_promotion_by_the_trainer_can_be_rolled_back_too(promote: Promote) -> None:
    registry.move(promote.client, promote.version("2"), registry.PRODUCTION)
    promote("--rollback")
    assert promote.places()[1] == {"production": "1"}
