// Package config reads baton-host.yaml and checks it, down to the configuration
// of each plugin against the schema that the plugin itself describes.
//
// Package host calls [Load], or [ByName] where there is no file, and [Settings.Bind] once
// a plugin has described itself; what is wrong is reported all at once as [Problems],
// each with file, line and column. It must never repeat in a message what a reference
// resolved to or what stands under a plugin's config, never take a key it does not know,
// and never start or call a plugin.
package config
