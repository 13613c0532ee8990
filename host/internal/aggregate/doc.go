// Package aggregate is one connector in front of many plugins: what the SDK's syncer and
// task handlers call when an upload has more than one app.
//
// Packages syncrun and service open an [Aggregate] with [New], one for each full sync and
// one for each other task, and pass [Aggregate.Client] to the SDK. It must never let an
// answer through that would shorten a listing without failing the sync, never give one
// plugin an id of another, never repeat a call that changes something in an app, and
// never make one for a plugin that the operator has not opened for changes
// ([Plugin].Provisioning).
package aggregate
