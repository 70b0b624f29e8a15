"""The embedded database: releases, journal, events, audit."""
