-- What version 1 of the store made in an empty database, word for word. Never changes.
CREATE TABLE plan_events(
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT NOT NULL UNIQUE,
    event_type     TEXT NOT NULL,
    plan_id        TEXT NOT NULL,
    timestamp      TEXT NOT NULL,
    recorded_at    TEXT NOT NULL,
    payload        TEXT NOT NULL,
    tenant         TEXT NOT NULL,
    source         TEXT,
    call_chain     TEXT,
    correlation_id TEXT,
    causation_id   TEXT,
    trace_parent   TEXT,
    priority       TEXT NOT NULL,
    context_refs   TEXT,
    schema_version INTEGER NOT NULL,
    chain          BLOB NOT NULL
) STRICT;
CREATE INDEX plan_events_plan ON plan_events(tenant, plan_id, id);
CREATE INDEX plan_events_lifecycle ON plan_events(tenant, id)
    WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'SubplanSpawned');

CREATE TABLE store_meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cursors(
    reader   TEXT NOT NULL,
    stream   TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (reader, stream)
) STRICT, WITHOUT ROWID;

CREATE VIEW plan_summary AS
SELECT plan.tenant, plan.plan_id,
    CASE state.event_type WHEN 'PlanCompleted' THEN 'completed' WHEN 'PlanFailed' THEN 'failed'
        ELSE 'running' END AS status,
    CASE WHEN json_valid(start.payload) THEN start.payload ->> '$.goal' END AS goal,
    CASE WHEN json_valid(start.payload) THEN start.payload ->> '$.parent' END AS parent,
    start.source,
    start.timestamp AS started_at,
    CASE WHEN state.event_type <> 'PlanStarted' THEN state.timestamp END AS ended_at,
    plan.events, plan.tool_calls, plan.failed_tool_calls, plan.decisions, plan.subplans,
    CASE WHEN state.event_type = 'PlanFailed' AND json_valid(state.payload)
        THEN state.payload ->> '$.error' END AS error,
    plan.first_seq, plan.last_seq
FROM (
    SELECT tenant, plan_id, count(*) AS events, min(id) AS first_seq, max(id) AS last_seq,
        min(CASE WHEN event_type = 'PlanStarted' THEN id END) AS start_seq,
        max(CASE WHEN event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed') THEN id END) AS state_seq,
        sum(event_type = 'ToolCalled') AS tool_calls,
        sum(CASE WHEN event_type = 'ToolCompleted' AND json_valid(payload)
            THEN json_type(payload, '$.ok') IS 'false' ELSE 0 END) AS failed_tool_calls,
        sum(event_type = 'DecisionMade') AS decisions,
        sum(event_type = 'SubplanSpawned') AS subplans
    FROM plan_events GROUP BY tenant, plan_id
) AS plan
LEFT JOIN plan_events AS start ON start.id = coalesce(plan.start_seq, plan.first_seq)
LEFT JOIN plan_events AS state ON state.id = plan.state_seq;

CREATE VIEW tool_calls AS
SELECT pair.tenant, pair.plan_id, pair.call_id,
    coalesce(call.payload, done.payload) ->> '$.tool' AS tool,
    coalesce(call.source, done.source) AS source,
    CASE WHEN done.id IS NULL THEN 'open' WHEN json_type(done.payload, '$.ok') IS 'true' THEN 'ok'
        ELSE 'failed' END AS outcome,
    coalesce(done.payload ->> '$.duration_us',
        CAST(round((julianday(done.timestamp) - julianday(call.timestamp)) * 86400e3) AS INTEGER) * 1000)
        AS duration_us,
    call.timestamp AS called_at, done.timestamp AS completed_at,
    call.payload -> '$.arguments' AS arguments,
    done.payload -> '$.result' AS result,
    done.payload ->> '$.error' AS error,
    call.id AS called_seq, done.id AS completed_seq
FROM (
    SELECT tenant, plan_id, payload ->> '$.call_id' AS call_id,
        min(CASE WHEN event_type = 'ToolCalled' THEN id END) AS called,
        max(CASE WHEN event_type = 'ToolCompleted' THEN id END) AS completed
    FROM plan_events
    WHERE event_type IN ('ToolCalled', 'ToolCompleted') AND json_valid(payload)
    GROUP BY tenant, plan_id, payload ->> '$.call_id'
) AS pair
LEFT JOIN plan_events AS call ON call.id = pair.called
LEFT JOIN plan_events AS done ON done.id = pair.completed;

CREATE VIEW plan_tree AS
WITH RECURSIVE
edge(tenant, parent, child, seq) AS (
    SELECT tenant, plan_id, payload ->> '$.subplan', min(id) FROM plan_events
    WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'SubplanSpawned')
        AND event_type = 'SubplanSpawned' AND json_valid(payload) AND json_type(payload, '$.subplan') IS 'text'
    GROUP BY tenant, plan_id, payload ->> '$.subplan'
),
walk(tenant, root, parent, child, seq, depth) AS (
    SELECT tenant, parent, parent, child, seq, 1 FROM edge
    WHERE NOT EXISTS (SELECT 1 FROM edge AS up WHERE up.tenant = edge.tenant AND up.child = edge.parent)
    UNION
    SELECT edge.tenant, walk.root, edge.parent, edge.child, edge.seq, walk.depth + 1
    FROM walk JOIN edge ON edge.tenant = walk.tenant AND edge.parent = walk.child
    WHERE walk.depth < 256
)
SELECT tenant, root, parent, child, min(depth) AS depth, seq
FROM walk GROUP BY tenant, root, parent, child ORDER BY tenant, root, depth, seq;
