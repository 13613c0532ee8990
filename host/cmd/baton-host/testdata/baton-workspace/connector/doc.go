// Package connector is the connector of a workspace: users, groups, roles, tickets,
// actions and events, read and changed. It is written as the SDK's documentation says,
// by an author who has never heard of baton-host, so it must import nothing of it. Both
// of the mains that make a program of it call New.
package connector
