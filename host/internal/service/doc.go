// Package service is one upload's connection to ConductorOne (C1): it takes the tasks that C1
// gives out, does them and reports them.
//
// Package host makes a [Service] for each upload, which owns the upload's plugins of the
// fleet, its baseline and its part of the board. It must never let a task go unreported that
// it can still report, upload a file for a task that C1 has taken back, or stop because C1 is
// away.
//
// Full syncs are done here, with heartbeats, a bounded upload and a report that is repeated
// until C1 has it; every other task is done by the SDK's own handlers. The protocol is the
// SDK's (c1.connectorapi.baton.v1, baton-sdk v0.25.0). What C1's own end answers beyond it is
// not public.
package service
