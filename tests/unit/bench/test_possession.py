"""What a proof costs: each part gives a figure in each round, and every proof counts."""

from bench.possession import ASK, BARE, JUDGE, READ, WAYS, Possession, measure_possession
from bench.summary import Summary


def test_each_part_gives_a_figure_in_each_round() -> None:
    found = measure_possession(rounds=2, proofs=5)
    assert list(found.us) == list(WAYS)
    assert all(len(us) == 2 and min(us) > 0 for us in found.us.values())


def test_the_whole_is_the_sum_of_its_parts_round_by_round() -> None:
    found = Possession({BARE: [50.0, 50.0], READ: [80.0, 90.0], ASK: [10.0, 20.0], JUDGE: [5.0, 5.0]})
    assert found.total() == Summary(105.0, 95.0, 115.0)
