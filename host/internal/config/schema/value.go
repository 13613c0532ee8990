package schema

import (
	"github.com/batonhost/baton-host/host/internal/config/keys"
)

// value is what stands under a key.
func value(key keys.Key) Object {
	return described(key, form(key))
}

func form(key keys.Key) Object {
	switch key.Kind {
	case keys.Switch:
		return Object{"type": "boolean"}
	case keys.Whole:
		return Object{"type": []any{"integer", "string"}, "minimum": key.Least, "maximum": key.Most, "pattern": `^\+?[0-9]+$`}
	case keys.Duration:
		return Object{"type": "string", "pattern": durationForm}
	case keys.Size:
		return Object{"type": []any{"string", "integer"}, "minimum": key.Least, "maximum": key.Most, "pattern": sizeForm}
	case keys.Choice:
		return Object{"enum": texts(key.Allowed)}
	case keys.Texts, keys.Words:
		return textList(key)
	case keys.Section:
		if len(key.Allowed) > 0 {
			return Object{"anyOf": []any{Object{"enum": texts(key.Allowed)}, section(key)}}
		}
		return section(key)
	case keys.Named:
		return named(key, section(key), nil)
	case keys.Fields:
		return Object{"type": []any{"object", "null"}}
	default:
		return text(key)
	}
}

func text(key keys.Key) Object {
	schema := Object{"type": "string", "minLength": 1}
	switch {
	case key.Names != "":
		schema["pattern"], schema["maxLength"] = key.Names, keys.MaxName
	case !key.References:
		schema["pattern"] = noReference
	}
	return schema
}

func textList(key keys.Key) Object {
	item := Object{"type": "string", "minLength": 1, "pattern": noReference}
	if key.Names != "" {
		item["pattern"] = key.Names
	}
	schema := Object{"type": []any{"array", "null"}, "items": item}
	if key.Kind == keys.Texts {
		schema["uniqueItems"] = true
	}
	if key.Required || key.Kind == keys.Words {
		schema["type"], schema["minItems"] = "array", 1
	}
	return schema
}

func texts(allowed []string) []any {
	all := make([]any, 0, len(allowed))
	for _, one := range allowed {
		all = append(all, one)
	}
	return all
}
