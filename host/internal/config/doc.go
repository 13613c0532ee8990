// Package config reads baton-host.yaml, by one table of keys that owns every default.
//
// Package host calls [Load], or [ByName] where there is no file; what is wrong is reported
// all at once as [settings.Problems], each with file, line and column. It must never repeat
// in a message what a reference resolved to or what stands under a plugin's config, never
// take a key it does not know, and never start or call a plugin.
package config
