"""Files by address."""

from produtos.batch.io import storage


def test_a_folder_on_s3_and_an_output_in_it() -> None:
    assert storage.would_be_input("s3://lotes/pasta/r.csv", "s3://lotes/pasta/")
    assert not storage.would_be_input("s3://lotes/pasta/_r/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("s3://lotes/pasta2/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("r.csv", "s3://lotes/pasta")
