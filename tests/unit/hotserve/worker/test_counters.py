"""What a worker counts; tests/unit/hotserve/manager/test_metrics.py has what becomes of it."""

from hotserve.ipc.counts import BOUNDS, FAST, NONE, PROCESS
from hotserve.worker.counters import SAMPLED, Counters


def test_a_report_holds_what_is_new_and_nothing_else() -> None:
    counters = Counters()
    assert counters.take() == {"in_flight": 0}
    counters.begun += 3
    counters.request(200, FAST, "7", 0.00002)
    counters.request(200, FAST, "7", BOUNDS[-1], "ana")
    counters.request(503, NONE, "", BOUNDS[-1] + 1)
    counters.other("/ping", 200)
    counters.products("7", ["livro", "game", "livro"])
    report = counters.take()
    assert report["in_flight"] == 0
    assert report["requests"] == [[200, "fast", "7", 2], [503, "none", "", 1]]
    assert report["other_requests"] == [["/ping", 200, 1]]
    assert report["client_requests"] == [["ana", 1]]
    assert report["products"] == [["7", "livro", 2], ["7", "game", 1]]
    assert set(report["latency"]) == {"fast", "none"}
    buckets, seconds = report["latency"]["fast"]
    assert (buckets[0], buckets[-2], sum(buckets)) == (1, 1, 2)
    assert seconds == BOUNDS[-1] + 0.00002
    assert report["latency"]["none"][0][-1] == 1
    assert counters.take() == {"in_flight": 0}


def test_requests_under_way_are_counted_until_they_end() -> None:
    counters = Counters()
    counters.begun += 2
    assert counters.take() == {"in_flight": 2}
    counters.request(200, PROCESS, "7", 0.1)
    assert counters.take()["in_flight"] == 1


def test_the_products_of_a_lane_are_counted_by_their_class() -> None:
    counters = Counters()
    lane = counters.lane("7", ["livro", "game", "jogo"])
    assert counters.lane("7", ["livro", "game", "jogo"]) is lane
    assert counters.lane("8", ["livro", "game", "jogo"]) is not lane
    lane.add([1])
    lane.add([0, 1, 1])
    assert counters.take()["products"] == [["7", "livro", 1], ["7", "game", 3]]
    assert counters.take() == {"in_flight": 0}
    lane.add([2])
    counters.products("7", ["jogo"])
    assert counters.take()["products"] == [["7", "jogo", 2]]


def test_what_was_sampled_is_reported_once() -> None:
    counters = Counters()
    lane = counters.lane("7", ["livro", "game"])
    lane.add_sample(3, 2, 0.75)
    lane.add_sample(2, 0, None)
    counters.to_sample = 0
    assert counters.take()["samples"] == [["7", 2, 3, 1, 0.75]]
    assert counters.to_sample == SAMPLED
    assert counters.take() == {"in_flight": 0}


def test_categories_of_a_report_are_bounded() -> None:
    counters = Counters()
    counters.products("7", [str(number) for number in range(1005)])
    counters.products("7", ["0", "a" * 200])
    counts = {category: count for _, category, count in counters.take()["products"]}
    assert len(counts) == 1001
    assert counts["0"] == 2
    assert counts["other"] == 6
    counters.products("7", ["a" * 200, "a" * 201])
    assert counters.take()["products"] == [["7", "a" * 200, 1], ["7", "other", 1]]
