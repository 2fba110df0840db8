"""`croissant.json`: the data set in the words of MLCommons' Croissant 1.1, with its responsible-AI fields."""

from typing import Any

import pandas as pd
from pandas.api import types

from dfdm.release.tables import MANIFEST

_VOCABULARY = "http://mlcommons.org/croissant/"
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
_BY_LANGUAGE = {"@container": "@language"}
_CONTEXT = {
    **{"@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": _VOCABULARY},
    **{"rai": f"{_VOCABULARY}RAI/", "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo"},
    **{"name": _BY_LANGUAGE, "description": _BY_LANGUAGE},
    **{term: f"cr:{term}" for term in _TERMS},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
_VIDEO, _CROPS = "video/mp4", "application/octet-stream"


def croissant(about: dict[str, Any], rai: dict[str, str], rows: pd.DataFrame, sums: dict[str, str]) -> dict[str, Any]:
    """The JSON-LD of a release.

    `about`: what schema.org's fields of those names say; `rai`: the same of the responsible-AI fields; `rows`: the
    manifest; `sums`: sha256 by file, of the tables at least.
    """
    files = [
        {
            **{"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "sha256": sums[name]},
            "encodingFormat": kind,
        }
        for name, kind in ((MANIFEST, "application/x-parquet"), ("manifest.csv", "text/csv"))
    ]
    sets = [
        {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": kind, "includes": pattern}
        for name, pattern, kind in (
            ("videos", "DFDM_crf*/*/*.mp4", _VIDEO),
            ("crops", "crops/crf*/*/*.safetensors", _CROPS),
            ("masks", "masks/*/*.mp4", _VIDEO),
        )
        if any(file.startswith(pattern.partition("*")[0]) for file in sums)
    ]
    fields = [
        {
            **{"@type": "cr:Field", "@id": f"manifest/{column}", "name": column, "dataType": _kind(rows[column])},
            "source": {"fileObject": {"@id": MANIFEST}, "extract": {"column": column}},
        }
        for column in rows.columns
        if not rows[column].isna().all()
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [f"{_VOCABULARY}1.1", f"{_VOCABULARY}RAI/1.0"],
        **about,
        **{f"rai:{key}": text for key, text in rai.items()},
        "distribution": [*files, *sets],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "manifest", "name": "manifest", "field": fields}],
    }


def _kind(column: pd.Series) -> str:
    if types.is_bool_dtype(column):
        return "sc:Boolean"
    return "sc:Integer" if types.is_integer_dtype(column) else "sc:Float" if types.is_float_dtype(column) else "sc:Text"
