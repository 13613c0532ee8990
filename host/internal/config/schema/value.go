package schema

import (
	"cmp"

	"github.com/batonhost/baton-host/host/internal/config"
)

// value is what stands under a key.
func value(key config.Key) Object {
	return described(key, form(key))
}

func form(key config.Key) Object {
	switch key.Kind {
	case config.KindSwitch:
		return Object{"type": "boolean"}
	case config.KindWhole:
		return Object{"type": []any{"integer", "string"}, "minimum": key.Least, "maximum": key.Most, "pattern": `^\+?[0-9]+$`}
	case config.KindDuration:
		return Object{"type": "string", "pattern": durationForm}
	case config.KindSize:
		return Object{"type": []any{"string", "integer"}, "minimum": key.Least, "maximum": key.Most, "pattern": sizeForm}
	case config.KindChoice:
		return Object{"enum": texts(key.Allowed)}
	case config.KindTexts, config.KindWords:
		return textList(key)
	case config.KindWholes:
		item := Object{"type": "integer", "minimum": key.Least, "maximum": key.Most}
		return Object{"type": []any{"array", "null"}, "items": item, "uniqueItems": true}
	case config.KindSection:
		if len(key.Allowed) > 0 {
			return Object{"anyOf": []any{Object{"enum": texts(key.Allowed)}, section(key)}}
		}
		return section(key)
	case config.KindNamed:
		each := section(key)
		if len(key.Allowed) > 0 {
			each = Object{"anyOf": []any{Object{"enum": texts(key.Allowed)}, each}}
		}
		return named(key, each, nil)
	case config.KindFields:
		return Object{"type": []any{"object", "null"}}
	default:
		return text(key)
	}
}

func text(key config.Key) Object {
	schema := Object{"type": "string", "minLength": 1}
	switch {
	case key.Names != "":
		schema["pattern"], schema["maxLength"] = key.Names, config.MaxName
	case key.Pattern != "":
		schema["pattern"] = key.Pattern
	case !key.References:
		schema["pattern"] = noReference
	}
	return schema
}

func textList(key config.Key) Object {
	item := Object{"type": "string", "minLength": 1, "pattern": noReference}
	if form := cmp.Or(key.Names, key.Pattern); form != "" {
		item["pattern"] = form
	}
	schema := Object{"type": []any{"array", "null"}, "items": item}
	if key.Kind == config.KindTexts {
		schema["uniqueItems"] = true
	}
	if key.Required || key.Kind == config.KindWords {
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
