// Package fleet is all plugins of one configuration: found, pinned, started, named and
// stopped, and put behind an aggregate as they are configured.
//
// The commands of baton-host call it, through [Start] for plugins that are kept running
// and through [Plugin.Spec] for single processes. It must never start a plugin with less
// than its entry says, never make an aggregate.Plugin in more than one place, and never
// attach to a process unless that was asked for.
package fleet
