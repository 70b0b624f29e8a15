"""The schema, one tuple of statements per version. A version that has been released never changes."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE releases (
            number INTEGER PRIMARY KEY,
            status TEXT NOT NULL CHECK (status IN ('building', 'built', 'good', 'bad', 'pruned')),
            created_at REAL NOT NULL,
            actor TEXT NOT NULL,
            source TEXT NOT NULL,
            good_at REAL,
            note TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            actor TEXT NOT NULL,
            release INTEGER,
            previous INTEGER,
            steps TEXT NOT NULL,
            owner TEXT NOT NULL,
            started_at REAL NOT NULL,
            finished_at REAL,
            outcome TEXT,
            detail TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX runs_unfinished ON runs (id) WHERE finished_at IS NULL",
        """
        CREATE TABLE run_steps (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            step INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('started', 'done', 'failed', 'undone')),
            at REAL NOT NULL
        )
        """,
        "CREATE INDEX run_steps_of ON run_steps (run_id, id)",
        """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            message TEXT NOT NULL,
            data TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            actor TEXT NOT NULL,
            origin TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            result TEXT NOT NULL,
            detail TEXT NOT NULL
        )
        """,
    ),
    (
        # What a service's latency and uptime are counted from, as `oatie_ops.health.track` writes it.
        "CREATE TABLE health_tracks (service TEXT PRIMARY KEY, saved_at REAL NOT NULL, data TEXT NOT NULL)",
        """
        CREATE TABLE health_transitions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            service TEXT NOT NULL,
            before TEXT NOT NULL,
            after TEXT NOT NULL,
            output TEXT NOT NULL,
            consequence_of TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX health_transitions_of ON health_transitions (service, id)",
        """
        CREATE TABLE maintenance (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            service TEXT NOT NULL,
            reason TEXT NOT NULL,
            actor TEXT NOT NULL,
            started_at REAL NOT NULL,
            until REAL,
            cleared_at REAL,
            cleared_by TEXT
        )
        """,
    ),
    (
        """
        CREATE TABLE alerts_open (
            channel TEXT NOT NULL,
            service TEXT NOT NULL,
            since REAL NOT NULL,
            told_at REAL NOT NULL,
            PRIMARY KEY (channel, service)
        )
        """,
        """
        CREATE TABLE alerts_waiting (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            channel TEXT NOT NULL,
            created_at REAL NOT NULL,
            body TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            next_at REAL NOT NULL,
            why TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX alerts_waiting_of ON alerts_waiting (channel, id)",
    ),
    (
        """
        CREATE TABLE recoveries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            service TEXT NOT NULL,
            trigger TEXT NOT NULL,
            actor TEXT NOT NULL,
            reason TEXT NOT NULL,
            failed_at REAL NOT NULL,
            began_at REAL NOT NULL,
            ended_at REAL,
            outcome TEXT,
            detail TEXT NOT NULL
        )
        """,
        "CREATE INDEX recoveries_of ON recoveries (service, id)",
        """
        CREATE TABLE recovery_tries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            recovery_id INTEGER NOT NULL REFERENCES recoveries (id),
            service TEXT NOT NULL,
            rung INTEGER NOT NULL,
            name TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            began_at REAL NOT NULL,
            acted_at REAL,
            ended_at REAL,
            state TEXT NOT NULL CHECK (state IN ('acting', 'verifying', 'proven', 'refuted', 'interrupted')),
            ok INTEGER,
            before TEXT NOT NULL,
            output TEXT NOT NULL,
            proof TEXT NOT NULL
        )
        """,
        "CREATE INDEX recovery_tries_of ON recovery_tries (recovery_id, id)",
        "CREATE TABLE recovery_progress (service TEXT PRIMARY KEY, data TEXT NOT NULL)",
    ),
    (
        """
        CREATE TABLE switches (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            service TEXT NOT NULL,
            owner TEXT NOT NULL,
            cause TEXT NOT NULL,
            level INTEGER NOT NULL,
            reason TEXT NOT NULL,
            actor TEXT NOT NULL,
            origin TEXT NOT NULL,
            host TEXT NOT NULL,
            started_at REAL NOT NULL,
            until REAL,
            deadline REAL,
            boot_id TEXT NOT NULL,
            overruled_by TEXT NOT NULL,
            ended_at REAL,
            how TEXT,
            ended_by TEXT
        )
        """,
        "CREATE UNIQUE INDEX switches_in_force ON switches (service, owner, cause) WHERE ended_at IS NULL",
    ),
    (
        """
        CREATE TABLE error_groups (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            fingerprint TEXT NOT NULL,
            service TEXT NOT NULL,
            kind TEXT NOT NULL,
            culprit TEXT NOT NULL,
            message TEXT NOT NULL,
            severity TEXT NOT NULL,
            count INTEGER NOT NULL,
            first_at REAL NOT NULL,
            last_at REAL NOT NULL,
            release TEXT NOT NULL,
            sample TEXT NOT NULL,
            recovery TEXT NOT NULL,
            outcome TEXT NOT NULL,
            UNIQUE (service, fingerprint)
        )
        """,
        """
        CREATE TABLE error_hours (
            service TEXT NOT NULL,
            hour INTEGER NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (service, hour)
        )
        """,
    ),
)

SCHEMA_VERSION = len(MIGRATIONS)
