"""What Grafana's and Tempo's documents say that these files may hold: nothing else, and each of its type.

Only the parts that deploy/ could sensibly use; a field that is not here is one to look up first.
"""

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
UID: Schema = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"}
URL: Schema = {"type": "string", "pattern": "^https?://[a-z0-9.-]+:[0-9]+$"}
SECONDS: Schema = {"type": "integer", "minimum": 1}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
SHIFT: Schema = {"type": "string", "pattern": "^-?[0-9]+(s|m|h|d)$"}
ADDRESS: Schema = {"type": "string", "pattern": "^[0-9.]+:[0-9]+$"}
PATH: Schema = {"type": "string", "pattern": "^/"}


def table(required: str = "", **fields: Schema) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


PROMETHEUS = table(
    httpMethod={"enum": ["GET", "POST"]},
    timeInterval=DURATION,
    queryTimeout=DURATION,
    prometheusType={"enum": ["Prometheus", "Cortex", "Mimir", "Thanos"]},
    prometheusVersion=TEXT,
    cacheLevel={"enum": ["Low", "Medium", "High", "None"]},
    incrementalQuerying=FLAG,
    manageAlerts=FLAG,
    alertmanagerUid=UID,
    exemplarTraceIdDestinations=several(
        table("name", name=TEXT, datasourceUid=UID, url=TEXT, urlDisplayLabel=TEXT),
    ),
)
ALERTMANAGER = table(
    "implementation",
    implementation={"enum": ["prometheus", "cortex", "mimir"]},
    handleGrafanaManagedAlerts=FLAG,
)
TEMPO_SOURCE = table(
    tracesToMetrics=table(
        "datasourceUid",
        datasourceUid=UID,
        spanStartTimeShift=SHIFT,
        spanEndTimeShift=SHIFT,
        tags=several(table("key", key=TEXT, value=TEXT)),
        queries=several(table("query", name=TEXT, query=TEXT)),
    ),
    serviceMap=table("datasourceUid", datasourceUid=UID),
    nodeGraph=table("enabled", enabled=FLAG),
    search=table("hide", hide=FLAG),
    traceQuery=table(timeShiftEnabled=FLAG, spanStartTimeShift=SHIFT, spanEndTimeShift=SHIFT),
    spanBar=table("type", type={"enum": ["None", "Duration", "Tag"]}, tag=TEXT),
)


def source(kind: str, options: Schema) -> Schema:
    """A data source of this type."""
    return table(
        "name uid type access url",
        name=TEXT,
        uid=UID,
        type={"const": kind},
        access={"const": "proxy"},
        url=URL,
        orgId=SECONDS,
        isDefault=FLAG,
        editable=FLAG,
        version=SECONDS,
        basicAuth=FLAG,
        jsonData=options,
        secureJsonData={"type": "object", "additionalProperties": TEXT},
    )


DATA_SOURCES = table(
    "apiVersion datasources",
    apiVersion={"const": 1},
    prune=FLAG,
    deleteDatasources=several(table("name", name=TEXT, orgId=SECONDS)),
    datasources=several(
        {
            "oneOf": [
                source("prometheus", PROMETHEUS),
                source("alertmanager", ALERTMANAGER),
                source("tempo", TEMPO_SOURCE),
            ]
        }
    ),
)
PROVIDERS = table(
    "apiVersion providers",
    apiVersion={"const": 1},
    providers=several(
        table(
            "name type options",
            name=TEXT,
            type={"const": "file"},
            orgId=SECONDS,
            folder=TEXT,
            folderUid=UID,
            editable=FLAG,
            disableDeletion=FLAG,
            allowUiUpdates=FLAG,
            updateIntervalSeconds={"type": "integer", "minimum": 11},
            options=table("path", path=PATH, foldersFromFilesStructure=FLAG),
        )
    ),
)
TEMPO = table(
    "server distributor storage",
    server=table(
        "http_listen_port",
        http_listen_address=TEXT,
        http_listen_port=SECONDS,
        grpc_listen_port=SECONDS,
        log_level={"enum": ["debug", "info", "warn", "error"]},
        log_format={"enum": ["logfmt", "json"]},
    ),
    distributor=table(
        "receivers",
        receivers=table(
            "otlp",
            otlp=table(
                "protocols",
                protocols=table(
                    "http", grpc=table("endpoint", endpoint=ADDRESS), http=table("endpoint", endpoint=ADDRESS)
                ),
            ),
        ),
    ),
    storage=table(
        "trace",
        trace=table(
            "backend wal local",
            backend={"const": "local"},
            wal=table("path", path=PATH),
            local=table("path", path=PATH),
        ),
    ),
    compactor=table("compaction", compaction=table(block_retention=DURATION, compacted_block_retention=DURATION)),
    usage_report=table("reporting_enabled", reporting_enabled=FLAG),
)


def problems(document: Any, schema: Schema) -> list[str]:
    """What is wrong with a document, each with its place."""
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]
