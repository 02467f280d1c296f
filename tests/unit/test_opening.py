from headrace.opening import Opening


def opened(trip, *, in_flight=2, most=64, longest=1.0, cold=1.0):
    """The requests in flight that an opening tries, where requests take ``trip(in flight)`` seconds."""
    opening, found, number = Opening(in_flight, most, round_trip=longest, longest=longest), [in_flight], 0
    while True:
        seconds = trip(found[-1]) * (cold if number < in_flight else 1.0)
        now = opening.answered(number, number + found[-1], seconds)
        number += 1
        if now is not None:
            found.append(now)
            if now <= found[-2]:
                return found
            number += found[-2]  # those that were sent before count for nothing


def test_doubles_while_answers_take_as_long():
    assert opened(lambda n: 0.05, most=30) == [2, 4, 8, 16, 30, 30]


def test_goes_back_where_twice_as_many_take_twice_as_long():
    assert opened(lambda n: 0.05 * n) == [2, 4, 2]
    assert opened(lambda n: 0.05 * max(n, 8)) == [2, 4, 8, 16, 8]


def test_a_server_that_slows_down_is_left_alone_after_one_round():
    assert opened(lambda n: 0.05 * n**1.5) == [2, 4, 2]


def test_the_first_answers_may_be_slow():
    assert opened(lambda n: 0.05 * n, cold=10.0) == [2, 4, 2]


def test_nothing_is_doubled_where_the_first_requests_take_too_long():
    assert opened(lambda n: 0.12, longest=0.1) == [2, 2]


def test_answers_to_what_was_sent_before_do_not_count():
    opening = Opening(2, 64, round_trip=1.0, longest=1.0)
    assert [opening.answered(number, number + 2, 0.1) for number in range(4)] == [None, None, None, 4]
    # Request 4 was on its way; the next round has three answers, from request 5 on.
    assert [opening.answered(number, 9, 0.1) for number in (4, 5, 6)] == [None] * 3
    assert opening.answered(7, 12, 0.1) == 8


def answers_of_the_first_round(trip, *, round_trip):
    opening = Opening(2, 64, round_trip=round_trip, longest=1.0)
    return 1 + next(count for count in range(100) if opening.answered(2 + count, 3 + count, trip) is not None)


def test_a_round_has_more_answers_where_they_may_be_late_for_work():
    assert answers_of_the_first_round(0.1, round_trip=0.1) == 2
    assert answers_of_the_first_round(0.1, round_trip=0.001) == 4


def test_a_round_of_quick_answers_has_many_of_them():
    assert answers_of_the_first_round(0.008, round_trip=0.008) == 8
