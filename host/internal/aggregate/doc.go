// Package aggregate is one connector in front of many plugins: what the SDK's syncer and
// task handlers call when an upload has more than one app.
//
// Packages syncrun and service open an [Aggregate] with [New], one for each full sync and
// one for each other task, and pass [Aggregate.Client] to the SDK. Each call is routed
// by the first resource type that its request names, the plugin's namespace is
// taken off a clone of the request, and put on everything in the reply that names
// a resource type, an entitlement or a grant. Objects of no resource type
// (actions and their runs, event feeds, tickets and their schemas) take the
// namespace in front of their ids, and calls about them are routed by it. Calls
// that name nothing (Validate, GetMetadata, ListResourceTypes, Cleanup, the
// listings of such objects) go to all plugins. In a full sync a plugin that fails
// can be fallen back for ([Plugin].Baseline).
//
// It must never let an answer through that would shorten a listing without
// failing the sync, never give one plugin an id of another, never repeat a call
// that changes something in an app, and never make one for a plugin that the
// operator has not opened for changes ([Plugin].Provisioning).
package aggregate
