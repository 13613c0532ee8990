// Package fleet starts, names and stops all plugins of one configuration, pinned as the lock
// file says, and puts them behind an aggregate as they are configured.
//
// Package host calls it, through [Start] for plugins that are kept running and through
// [Plugin.Spec] for single processes. It must never start a plugin with less than its entry
// says, never make an aggregate.Plugin in more than one place, and never attach to a process
// unless that was asked for.
package fleet
