// Package aggregate is one connector in front of many plugins: what the SDK's
// syncer and task handlers talk to when an upload holds more than one app.
//
// The host makes one [Aggregate] per upload with [New] and hands
// [Aggregate.Client] to the SDK. Each call is routed by the first resource type
// that its request names, the plugin's namespace is taken off a clone of the
// request, and put on everything in the reply that names a resource type, an
// entitlement or a grant. Calls that name no type (Validate, GetMetadata,
// ListResourceTypes, Cleanup) go to all plugins.
//
// It must never let an answer through that would shorten a listing without
// failing the sync, never give one plugin an id of another, and never repeat a
// call that changes something in an app.
package aggregate
