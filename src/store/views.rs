//! The views for auditors: `plan_summary`, `tool_calls`, `plan_tree` and `log_days`.
//!
//! They are made anew with every migration, so there is one list of them and no history. They are
//! for people with Debian's `sqlite3` (3.40), so they use no newer function. A view never
//! aggregates the whole log: each row is found through an index and its columns are looked up when
//! they are asked for, so that `WHERE` and `ORDER BY .. LIMIT` cost what they return. Payloads that
//! somebody edited into no JSON, or that lack fields, are borne.

use rusqlite::Connection;

/// Makes the views of the present version in place of those that are there.
pub(super) fn replace(connection: &Connection) -> rusqlite::Result<()> {
    for (name, body) in VIEWS {
        connection
            .execute_batch(&format!("DROP VIEW IF EXISTS {name}; CREATE VIEW {name} AS {};", body.trim()))?;
    }
    Ok(())
}

/// Each view's name and what it selects.
const VIEWS: [(&str, &str); 4] = [
    ("plan_summary", PLAN_SUMMARY),
    ("tool_calls", TOOL_CALLS),
    ("plan_tree", PLAN_TREE),
    ("log_days", LOG_DAYS),
];

/// One row a plan: its first start, completion or failure, and what the others say of it.
const PLAN_SUMMARY: &str = r#"
SELECT plan.tenant, plan.plan_id,
    (SELECT CASE state.event_type WHEN 'PlanCompleted' THEN 'completed' WHEN 'PlanFailed' THEN 'failed'
            ELSE 'running' END
        FROM plan_events AS state
        WHERE (state.event_type = 'PlanStarted' OR state.event_type = 'PlanCompleted' OR state.event_type = 'PlanFailed')
            AND state.tenant = plan.tenant AND state.plan_id = plan.plan_id
        ORDER BY state.id DESC LIMIT 1) AS status,
    CASE WHEN plan.event_type = 'PlanStarted' AND json_valid(plan.payload) THEN plan.payload ->> '$.goal' END
        AS goal,
    coalesce(
        CASE WHEN plan.event_type = 'PlanStarted' AND json_valid(plan.payload) THEN
            CASE json_type(plan.payload, '$.parent')
            WHEN 'text' THEN nullif(plan.payload ->> '$.parent', plan.plan_id) END END,
        (SELECT other.plan_id FROM plan_events AS other
            WHERE other.tenant = plan.tenant AND other.plan_id = plan.correlation_id
                AND plan.correlation_id <> plan.plan_id
            LIMIT 1)) AS parent,
    CASE plan.event_type WHEN 'PlanStarted' THEN plan.source ELSE (
        SELECT event.source FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id ORDER BY event.id LIMIT 1) END AS source,
    CASE plan.event_type WHEN 'PlanStarted' THEN plan.timestamp ELSE (
        SELECT event.timestamp FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id ORDER BY event.id LIMIT 1) END
        AS started_at,
    (SELECT CASE WHEN state.event_type <> 'PlanStarted' THEN state.timestamp END
        FROM plan_events AS state
        WHERE (state.event_type = 'PlanStarted' OR state.event_type = 'PlanCompleted' OR state.event_type = 'PlanFailed')
            AND state.tenant = plan.tenant AND state.plan_id = plan.plan_id
        ORDER BY state.id DESC LIMIT 1) AS ended_at,
    (SELECT count(*) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id) AS events,
    (SELECT count(*) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id
            AND event.event_type = 'ToolCalled') AS tool_calls,
    (SELECT count(*) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id
            AND event.event_type = 'ToolCompleted'
            AND CASE WHEN json_valid(event.payload) THEN json_type(event.payload, '$.ok') END = 'false')
        AS failed_tool_calls,
    (SELECT count(*) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id
            AND event.event_type = 'DecisionMade') AS decisions,
    (SELECT count(*) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id
            AND event.event_type = 'SubplanSpawned') AS subplans,
    (SELECT CASE WHEN state.event_type = 'PlanFailed' AND json_valid(state.payload)
            THEN coalesce(state.payload ->> '$.error', state.payload ->> '$.reason') END
        FROM plan_events AS state
        WHERE (state.event_type = 'PlanStarted' OR state.event_type = 'PlanCompleted' OR state.event_type = 'PlanFailed')
            AND state.tenant = plan.tenant AND state.plan_id = plan.plan_id
        ORDER BY state.id DESC LIMIT 1) AS error,
    plan.id AS first_seq,
    (SELECT max(event.id) FROM plan_events AS event
        WHERE event.tenant = plan.tenant AND event.plan_id = plan.plan_id) AS last_seq
FROM plan_events AS plan
WHERE (plan.event_type = 'PlanStarted' OR plan.event_type = 'PlanCompleted' OR plan.event_type = 'PlanFailed')
    AND NOT EXISTS (SELECT 1 FROM plan_events AS earlier
        WHERE (earlier.event_type = 'PlanStarted' OR earlier.event_type = 'PlanCompleted' OR earlier.event_type = 'PlanFailed')
            AND earlier.tenant = plan.tenant AND earlier.plan_id = plan.plan_id AND earlier.id < plan.id)
"#;

/// One row a call, with its answer. A completion answers the last call before it in its plan that
/// has its call id, so a call has none where a call with the same id comes first.
const TOOL_CALLS: &str = r#"
SELECT call.tenant, call.plan_id,
    CASE WHEN json_valid(call.payload) THEN call.payload ->> '$.call_id' END AS call_id,
    coalesce(CASE WHEN json_valid(call.payload) THEN call.payload ->> '$.tool' END,
        done.payload ->> '$.tool') AS tool,
    call.source,
    CASE WHEN done.id IS NOT NULL THEN
            CASE json_type(done.payload, '$.ok') WHEN 'true' THEN 'ok' WHEN 'false' THEN 'failed'
            ELSE 'unknown' END
        WHEN CASE WHEN json_valid(call.payload) THEN call.payload ->> '$.call_id' END IS NULL THEN 'unknown'
        ELSE 'open' END AS outcome,
    coalesce(done.payload ->> '$.duration_us',
        (strftime('%s', substr(done.timestamp, 1, 19)) - strftime('%s', substr(call.timestamp, 1, 19)))
            * 1000000 + substr(done.timestamp, 21, 6) - substr(call.timestamp, 21, 6)) AS duration_us,
    call.timestamp AS called_at, done.timestamp AS completed_at,
    CASE WHEN json_valid(call.payload) THEN
        coalesce(call.payload -> '$.arguments', call.payload -> '$.args', call.payload -> '$.input')
        END AS arguments,
    coalesce(done.payload -> '$.result', done.payload -> '$.content', done.payload -> '$.observation',
        done.payload -> '$.response') AS result,
    coalesce(done.payload ->> '$.error', done.payload ->> '$.reason') AS error,
    call.id AS called_seq, done.id AS completed_seq
FROM plan_events AS call
LEFT JOIN plan_events AS done ON done.event_type = 'ToolCompleted' AND done.id = (
    SELECT next.id FROM plan_events AS next
    WHERE next.tenant = call.tenant AND next.plan_id = call.plan_id AND next.id > call.id
        AND next.event_type IN ('ToolCalled', 'ToolCompleted')
        AND CASE WHEN json_valid(next.payload) THEN next.payload ->> '$.call_id' END
            = CASE WHEN json_valid(call.payload) THEN call.payload ->> '$.call_id' END
    ORDER BY next.id LIMIT 1)
WHERE call.event_type = 'ToolCalled'
"#;

/// One row for every plan that a plan spawned, directly or through others. Any plan may be the
/// root. The walk is a function of the root's row, so `WHERE root = ..` walks from there alone. It
/// goes from plan to plan and not from spawn to spawn, and ends at as many levels and plans as a
/// `PlanTree` of the library, so plans that all spawn each other keep it busy for no more than that.
/// Only a plan's first spawn walks; a filter beside the walk might be looked at behind it. `CROSS JOIN`
/// keeps newer SQLite from looking at all spawns for each plan of the walk.
const PLAN_TREE: &str = r#"
SELECT plan.tenant, plan.plan_id AS root, step.value ->> 0 AS parent, step.value ->> 1 AS child,
    step.value ->> 2 AS depth, step.value ->> 3 AS seq
FROM plan_events AS plan, json_each(CASE WHEN NOT EXISTS (
    SELECT 1 FROM plan_events AS earlier
    WHERE earlier.event_type = 'SubplanSpawned'
        AND earlier.tenant = plan.tenant AND earlier.plan_id = plan.plan_id AND earlier.id < plan.id)
THEN (
    WITH RECURSIVE walk(plan_id, depth) AS (
        SELECT plan.plan_id, 0
        UNION
        SELECT CASE WHEN json_valid(spawn.payload) THEN CASE json_type(spawn.payload, '$.subplan')
            WHEN 'text' THEN spawn.payload ->> '$.subplan' END END, walk.depth + 1
        FROM walk CROSS JOIN plan_events AS spawn ON spawn.event_type = 'SubplanSpawned'
            AND spawn.tenant = plan.tenant AND spawn.plan_id = walk.plan_id
        WHERE walk.depth < 255
        LIMIT 10000
    )
    SELECT json_group_array(json_array(parent, child, depth, seq)) FROM (
        SELECT parent.plan_id AS parent,
            CASE WHEN json_valid(spawn.payload) THEN CASE json_type(spawn.payload, '$.subplan')
                WHEN 'text' THEN spawn.payload ->> '$.subplan' END END AS child,
            parent.depth + 1 AS depth, min(spawn.id) AS seq
        FROM (SELECT plan_id, min(depth) AS depth FROM walk GROUP BY plan_id) AS parent
        CROSS JOIN plan_events AS spawn ON spawn.event_type = 'SubplanSpawned'
            AND spawn.tenant = plan.tenant AND spawn.plan_id = parent.plan_id
        GROUP BY 1, 2 ORDER BY 3, 4)
    WHERE child IS NOT NULL
) ELSE '[]' END) AS step
WHERE plan.event_type = 'SubplanSpawned'
"#;

/// One row for every day on which events were recorded. `recorded_at` never decreases, so the end
/// of a day is found by halving, without an index on time.
const LOG_DAYS: &str = r#"
WITH RECURSIVE span(day, first_seq, next_seq, head) AS (
    SELECT NULL, NULL, (SELECT min(id) FROM plan_events), (SELECT max(id) FROM plan_events)
    UNION ALL
    SELECT substr(first.recorded_at, 1, 10), first.id,
        (WITH RECURSIVE half(low, high) AS (
            SELECT first.id, span.head + 1
            UNION ALL
            SELECT iif(substr(at.recorded_at, 1, 10) > substr(first.recorded_at, 1, 10), low, (low + high) / 2),
                iif(substr(at.recorded_at, 1, 10) > substr(first.recorded_at, 1, 10), (low + high) / 2, high)
            FROM half JOIN plan_events AS at
                ON at.id = (SELECT min(next.id) FROM plan_events AS next WHERE next.id >= (low + high) / 2)
            WHERE high - low > 1
        )
        SELECT high FROM half WHERE high - low <= 1),
        span.head
    FROM span JOIN plan_events AS first ON first.id = span.next_seq
    WHERE span.next_seq <= span.head
)
SELECT day, first_seq, next_seq - 1 AS last_seq, next_seq - first_seq AS events
FROM span WHERE first_seq IS NOT NULL
"#;
