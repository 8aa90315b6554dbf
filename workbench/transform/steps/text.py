"""Steps for text in any language.

A word is a run of letters, marks, digits and underscores in the sense of Unicode, in lower case.
NULL gives NULL, an empty text no words.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.errors import Unsupported
from workbench.names import literal
from workbench.transform.steps.step import (
    State,
    Step,
    Value,
    check_count,
    number,
    numbers,
    option,
    positive,
    short,
    texts,
)

_WORD = r"[\p{L}\p{M}\p{N}_]+"
TERMS = 256
PIECES = 1000
LENGTH = 64


def words_of(column: str) -> str:
    """Return SQL for the words of a text."""
    return f"regexp_extract_all(lower(CAST({column} AS VARCHAR)), '{_WORD}')"


class Tokenize(Step):
    """`tokenize(text[, 'word'|'subword'[, pieces[, length]]])`: the words of a text, or numbers of subwords.

    By 'word' it is a VARCHAR[] of the words in their order. By 'subword' it is an INTEGER[] of
    `length` (64) numbers: the text is cut into the longest of `pieces` (1,000) parts of words that
    were learnt from the texts; 0 fills up, 1 stands for a sign never seen, longer texts are cut off.
    The parts are learnt by the library `tokenizers`, and found in SQL by one regular expression:
    alternatives in order of their length are WordPiece's longest match first. Many thousands of
    parts are slow.

    References
    ----------
    Wu et al. (2016), Google's neural machine translation system, arXiv:1609.08144.

    Examples
    --------
    >>> Tokenize().apply(("t",), {})[:42]
    'regexp_extract_all(lower(CAST(t AS VARCHAR'
    """

    name = "tokenize"
    signature = "tokenize(text[, 'word'|'subword'[, pieces[, length]]])"
    most = 4

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a text, and perhaps a way and numbers."""
        super().check(arguments)
        if len(arguments) > 1 and option(self, arguments[1], ("word", "subword")) == "word":
            check_count(self, arguments, 2)
        self._size(arguments)

    def _size(self, arguments: tuple[str, ...]) -> tuple[int, int]:
        pieces = positive(self, arguments[2], "number of pieces") if len(arguments) > 2 else PIECES
        length = positive(self, arguments[3], "length") if len(arguments) > 3 else LENGTH
        return pieces, length

    def learns(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the words of each text, joined by spaces; none by 'word'."""
        if len(arguments) < 2 or option(self, arguments[1], ("word", "subword")) == "word":
            return ""
        return f"SELECT array_to_string({words_of(arguments[0])}, ' ') FROM {{rows}}"

    def learn(self, arguments: tuple[str, ...], values: Iterable[str]) -> dict[str, Value]:
        """Learn the parts of words.

        Raises
        ------
        Unsupported
            If the library `tokenizers` is not installed.
        """
        try:
            from tokenizers import Tokenizer, models, pre_tokenizers, trainers
        except ModuleNotFoundError as error:
            raise Unsupported(
                "tokenize(…, 'subword') needs the library tokenizers.", hint="pip install 'mlstore[text]'"
            ) from error
        pieces, _ = self._size(arguments)
        tokenizer = Tokenizer(models.WordPiece(unk_token=_UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.WordPieceTrainer(
            vocab_size=pieces + 1, special_tokens=[_UNKNOWN], show_progress=False
        )
        tokenizer.train_from_iterator(values, trainer)
        found = sorted(tokenizer.get_vocab().items(), key=lambda each: each[1])
        return {"pieces": tuple(_marked(piece) for piece, _ in found if piece != _UNKNOWN)}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list of words, or of the numbers of subwords."""
        words = words_of(arguments[0])
        if not self.learns(arguments):
            return words
        _, length = self._size(arguments)
        pieces = texts(state["pieces"])
        numbered = "list_transform(mlstore_w, lambda p: 1)"
        if pieces:
            listed = ", ".join(literal(piece) for piece in pieces)
            place = f"enum_code(TRY_CAST(p AS ENUM ({listed})))"
            numbered = f"list_transform(mlstore_w, lambda p: coalesce(CAST({place} AS INTEGER) + 2, 1))"
        longest = "|".join([*sorted(pieces, key=lambda piece: (-len(piece), piece)), "."])
        marked = f"array_to_string(list_transform({words}, lambda w: '{_START}' || w), '')"
        cut = f"regexp_extract_all({marked}, '{longest}')"
        return _once("mlstore_w", cut, f"list_resize(CAST({numbered} AS INTEGER[]), {length}, 0)")

    def describe(self, state: State) -> str:
        """Say how many pieces there are."""
        return f"{len(texts(state['pieces'])):,} pieces" if state else ""


_UNKNOWN = "[UNK]"
_START = "▁"  # begins a word, so that no piece goes over the end of one
_WITHIN = "##"


def _marked(piece: str) -> str:
    return piece.removeprefix(_WITHIN) if piece.startswith(_WITHIN) else f"{_START}{piece}"


class Ngrams(Step):
    """`ngrams(text, n)`: each n words that follow each other, joined by a space; a VARCHAR[].

    Examples
    --------
    >>> Ngrams().check(("t", "0"))
    Traceback (most recent call last):
    ...
    workbench.errors.StatementError: The length of ngrams must be a whole number above zero, not 0.
    Call it as ngrams(text, n).
    """

    name = "ngrams"
    signature = "ngrams(text, n)"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a text and a length."""
        super().check(arguments)
        positive(self, arguments[1], "length")

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list; the words are found once."""
        length = positive(self, arguments[1], "length")
        joined = f"array_to_string(mlstore_w[i:i + {length - 1}], ' ')"
        grams = f"list_transform(range(1, len(mlstore_w) - {length - 2}), lambda i: {joined})"
        return _once("mlstore_w", words_of(arguments[0]), grams)


class HashText(Step):
    """`hash_text(text, n)`: how many words fall into each of n buckets, a USMALLINT[] of length n.

    It fits nothing. The bucket of a word is that of `hash_encode`.

    References
    ----------
    Weinberger et al. (2009), Feature hashing for large scale multitask learning, ICML; without the
    signs, so that the numbers are counts.

    Examples
    --------
    >>> HashText().signature
    'hash_text(text, n)'
    """

    name = "hash_text"
    signature = "hash_text(text, n)"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a text and a number."""
        super().check(arguments)
        positive(self, arguments[1], "number of buckets")

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list of counts."""
        buckets = positive(self, arguments[1], "number of buckets")
        places = f"list_transform({words_of(arguments[0])}, lambda w: md5_number_lower(w) % {buckets})"
        return _counts(places, buckets)


class Tfidf(Step):
    r"""`tfidf(text[, n])`: the weights of the n (256) most frequent words, a DOUBLE[] of that length.

    As scikit-learn's TfidfVectorizer(max_features=n, token_pattern=r"\w+"): the count of the word in
    the text times 1 + ln((1 + texts) / (1 + texts with the word)), divided by the length of the
    whole vector. The words are in alphabetical order; of equally frequent ones the first in the
    alphabet are kept. A text without any of them gives zeros.

    Examples
    --------
    >>> Tfidf().describe({"terms": ("a", "b"), "found": (3.0, 1.0), "count": 4.0})
    '2 words of 4 texts: a, b'
    """

    name = "tfidf"
    signature = "tfidf(text[, n])"
    most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a text, and perhaps a number."""
        super().check(arguments)
        self._limit(arguments)

    def _limit(self, arguments: tuple[str, ...]) -> int:
        return positive(self, arguments[1], "number of words") if len(arguments) == 2 else TERMS

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the number of texts."""
        return {"count": f"count({arguments[0]})"}

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the words, and how many texts have each."""
        each = f"SELECT {words_of(arguments[0])} AS w, row_number() OVER () AS t FROM {{rows}}"
        words = f"SELECT unnest(w) AS v, t FROM ({each})"
        counted = (
            f"SELECT v, count(*) AS n, count(DISTINCT t) AS found FROM ({words}) "
            f"GROUP BY v ORDER BY n DESC, v LIMIT {self._limit(arguments)}"
        )
        return (
            "SELECT list(v ORDER BY v) AS terms, list(CAST(found AS DOUBLE) ORDER BY v) AS found "
            f"FROM ({counted})"
        )

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list of weights, scaled to length 1."""
        terms, count = texts(state["terms"]), state["count"]
        if not terms or not isinstance(count, float):
            return f"CASE WHEN ({arguments[0]}) IS NULL THEN NULL ELSE CAST([] AS DOUBLE[]) END"
        idf = ", ".join(f"ln({number((1 + count) / (1 + found))}) + 1e0" for found in numbers(state["found"]))
        listed = ", ".join("'" + term.replace("'", "''") + "'" for term in terms)
        codes = (
            f"list_transform({words_of(arguments[0])}, lambda w: enum_code(TRY_CAST(w AS ENUM ({listed}))))"
        )
        weighted = f"list_transform(list_zip({_counts(codes, len(terms))}, [{idf}]), lambda z: z[1] * z[2])"
        length = "sqrt(list_sum(list_transform(mlstore_v, lambda x: x * x)))"
        scaled = (
            "list_transform(mlstore_v, lambda x: CASE WHEN mlstore_n > 0e0 THEN x / mlstore_n ELSE 0e0 END)"
        )
        return _once("mlstore_v", weighted, _once("mlstore_n", length, scaled))

    def describe(self, state: State) -> str:
        """Say how many words of how many texts."""
        terms = texts(state["terms"])
        return f"{len(terms):,} words of {short(state['count'])} texts: {short(terms)}"


def _counts(places: str, length: int) -> str:
    """Return SQL for how often each place from 0 occurs in a list of places."""
    equal = "list_filter(mlstore_p, lambda p: p = i)"
    counts = f"list_transform(range({length}), lambda i: CAST(len({equal}) AS USMALLINT))"
    return _once("mlstore_p", places, counts)


def _once(name: str, value: str, use: str) -> str:
    """Return SQL for `use`, in which `name` stands for a value that is computed once per row.

    Inside a lambda an expression would be computed for each element. NULL gives NULL.
    """
    return f"list_transform([{value}], lambda {name}: CASE WHEN {name} IS NOT NULL THEN {use} END)[1]"
