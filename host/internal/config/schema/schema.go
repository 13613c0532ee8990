package schema

import (
	"strings"

	"github.com/batonhost/baton-host/host/internal/config"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Object is a JSON object. Encoded, its members are sorted by name.
type Object = map[string]any

// Plugin is what is known of the plugins of some entries.
type Plugin struct {
	// App is the app that entries have for their own or are named after. Those that
	// say what is started (path, command, version, image) are left alone: it may be another
	// program.
	App string
	// Instance is the name of the only entry that this is about; empty: every entry
	// of App.
	Instance string
	// Manifest is what the plugin says of itself.
	Manifest *pluginv1.Manifest
}

const (
	pluginDef    = "plugin"
	uploadDef    = "upload"
	noReference  = `^([^$]|\$[^{]|\$$)*$`
	durationForm = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	sizeForm     = `^[0-9][0-9.,]* *[kKmMgGtTpPeE]?[iI]?[bB]?$`
)

// Of is the schema of a configuration file.
func Of(plugins []Plugin) Object {
	definitions := Object{
		pluginDef: section(config.KeyPlugins),
		uploadDef: section(config.KeyUploads),
	}
	entries := Object{}
	var byApp []any
	for _, plugin := range plugins {
		name := "config-" + plugin.App
		if plugin.Instance != "" {
			name = "config-of-" + plugin.Instance
			entries[plugin.Instance] = Object{"allOf": []any{reference(pluginDef), configured(name, plugin.Manifest)}}
		} else {
			rule := Object{
				"if":   Object{"required": []any{"app"}, "properties": Object{"app": Object{"const": plugin.App}}, "not": startedBy()},
				"then": configured(name, plugin.Manifest),
			}
			byApp = append(byApp, rule)
			if _, own := entries[plugin.App]; !own {
				entries[plugin.App] = Object{"allOf": []any{reference(pluginDef), Object{
					"if":   Object{"not": Object{"anyOf": []any{Object{"required": []any{"app"}}, startedBy()}}},
					"then": configured(name, plugin.Manifest),
				}}}
			}
		}
		definitions[name] = fields(plugin.Manifest.GetConfiguration(), title(plugin))
	}
	if definition, ok := definitions[pluginDef].(Object); ok && len(byApp) > 0 {
		definition["allOf"] = append(list(definition["allOf"]), byApp...)
	}

	file := section(config.KeyFile)
	file["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	file["title"] = "baton-host.yaml"
	file["type"] = "object"
	file["$defs"] = definitions
	if properties, ok := file["properties"].(Object); ok {
		properties[config.NamePlugins] = named(config.KeyPlugins, reference(pluginDef), entries)
		properties[config.NameUploads] = named(config.KeyUploads, reference(uploadDef), nil)
	}
	return file
}

func list(value any) []any {
	items, _ := value.([]any)
	return items
}

func title(plugin Plugin) string {
	name := plugin.Manifest.GetDisplayName()
	if name == "" {
		name = plugin.Manifest.GetName()
	}
	return strings.TrimSpace(name + " " + plugin.Manifest.GetVersion())
}

func reference(definition string) Object { return Object{"$ref": "#/$defs/" + definition} }

// startedBy holds of entries that say themselves what is started.
func startedBy() Object {
	return anyOf(config.NamePath, config.NameCommand, config.NameVersion, config.NameImage)
}

// anyOf holds of a mapping that has one of these keys, or several.
func anyOf(keys ...string) Object {
	var each []any
	for _, key := range keys {
		each = append(each, Object{"required": []any{key}})
	}
	return Object{"anyOf": each}
}

// configured is what holds of an entry whose plugin is known.
func configured(definition string, manifest *pluginv1.Manifest) Object {
	holds := Object{"properties": Object{config.NameConfig: reference(definition)}}
	if len(required(manifest.GetConfiguration())) > 0 {
		holds["required"] = []any{config.NameConfig}
	}
	return holds
}

// section is a mapping with the key's keys.
func section(key config.Key) Object {
	properties, together, apart := Object{}, Object{}, Object{}
	var needed []any
	for _, one := range key.Keys {
		properties[one.Name] = value(one)
		if one.Formerly != "" {
			old := value(one)
			old["deprecated"], old["description"] = true, "The old name of `"+one.Name+"`, which is read in this release."
			properties[one.Formerly] = old
			apart[one.Formerly] = Object{"not": Object{"required": []any{one.Name}}}
		}
		if one.Required {
			needed = append(needed, one.Name)
		}
		if one.Needs != "" {
			together[one.Name] = []any{one.Needs}
		}
		if len(one.Excludes) > 0 {
			apart[one.Name] = Object{"not": anyOf(one.Excludes...)}
		}
	}
	// A key without a value stands for nothing given.
	schema := Object{"type": []any{"object", "null"}, "properties": properties, "additionalProperties": false}
	if len(needed) > 0 {
		schema["type"] = "object"
		schema["required"] = needed
	}
	if len(together) > 0 {
		schema["dependentRequired"] = together
	}
	if len(apart) > 0 {
		schema["dependentSchemas"] = apart
	}
	return schema
}

// named is a mapping from names to one schema, with others for some names.
func named(key config.Key, each Object, special Object) Object {
	schema := described(key, Object{"type": []any{"object", "null"}, "additionalProperties": each})
	if len(special) > 0 {
		schema["properties"] = special
	}
	if key.Names != "" {
		schema["propertyNames"] = Object{"pattern": key.Names, "maxLength": config.MaxName}
	}
	if key.Required {
		schema["type"], schema["minProperties"] = "object", 1
	}
	return schema
}

// described is the schema with what an editor shows beside it.
func described(key config.Key, schema Object) Object {
	said := strings.ToUpper(key.Meaning[:1]) + key.Meaning[1:] + "."
	if key.Default != "" {
		said += " Default: `" + key.Default + "`."
	}
	schema["description"] = said
	return schema
}
