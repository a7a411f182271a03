"""MinHash again, slowly, in Python's whole numbers: nothing of the package is used."""

M32, M64 = 1 << 32, 1 << 64


def fold(value, word):
    value = (value ^ word) * 0xFF51AFD7ED558CCD % M64
    return value ^ value >> 32


def shingle_hash(units):
    """32-bit hash of the units of one shingle."""
    value = 0x9E3779B97F4A7C15
    for unit in units:
        value = fold(value, unit)
    return fold(fold(value, 0), 0) >> 32


def signature(shingles, functions):
    """The least hash of each function over the shingles."""
    return [min((a * x + b) % M32 for x in shingles) for a, b in functions]


def band_key(band, minima):
    """The key of a band with these minima, one for each row."""
    value = (band + 1) * 0x9E3779B97F4A7C15 % M64
    for row in range(0, len(minima), 2):
        low, *high = minima[row : row + 2]
        value = fold(value, low + (high[0] * M32 if high else 0))
    return fold(fold(value, 0), 0) or 1


def document_keys(shingles, functions, bands, rows):
    """The keys of all bands of one document, 0 without shingles; functions are in the order of the signature."""
    if not len(shingles):
        return [0] * bands
    minima = signature([int(x) for x in shingles], functions)
    return [band_key(band, minima[band * rows : (band + 1) * rows]) for band in range(bands)]
