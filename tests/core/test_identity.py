from concurrent.futures import ThreadPoolExecutor

from memos.identity import UlidMaker, utc_now


def test_ids_grow_and_never_repeat():
    make = UlidMaker()
    ids = [make() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(i) == 26 and i[0] in "01234567" for i in ids)


def test_ids_of_many_threads_never_repeat():
    make = UlidMaker()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: make(), range(8000)))
    assert len(set(ids)) == len(ids)


def test_an_id_carries_its_time():
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    before = utc_now()
    made = UlidMaker()()
    after = utc_now()
    millis = 0
    for char in made[:10]:
        millis = millis * 32 + alphabet.index(char)
    assert int(before.timestamp() * 1000) <= millis <= after.timestamp() * 1000 + 1
