package plugin

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// SecretTexts are the texts that must not be seen of a request's secrets, the
// longest first: one may hold another, and what is left of it would tell. A
// file's content is there as it is and in base64, as the SDK's decoding takes
// it.
func SecretTexts(secrets map[string]*pluginv1.Value) []string {
	var texts []string
	for _, value := range secrets {
		switch kind := value.GetKind().(type) {
		case *pluginv1.Value_StringValue:
			texts = append(texts, kind.StringValue)
		case *pluginv1.Value_StringList:
			texts = append(texts, kind.StringList.GetValues()...)
		case *pluginv1.Value_FileContent:
			texts = append(texts, string(kind.FileContent), base64.StdEncoding.EncodeToString(kind.FileContent))
		case *pluginv1.Value_MapValue:
			texts = append(texts, mapTexts(kind.MapValue.AsMap())...)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return texts
}

func mapTexts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var texts []string
		for _, item := range value {
			texts = append(texts, mapTexts(item)...)
		}
		return texts
	case map[string]any:
		var texts []string
		for _, item := range value {
			texts = append(texts, mapTexts(item)...)
		}
		return texts
	default:
		return nil
	}
}

// withoutSecrets blanks the values of secrets in a text that the author's code
// wrote. Very short values are left: blanking them would garble the text and
// hide nothing.
func withoutSecrets(text string, secrets map[string]*pluginv1.Value) string {
	const shortest = 4
	for _, value := range SecretTexts(secrets) {
		if len(value) >= shortest {
			text = strings.ReplaceAll(text, value, "(secret)")
		}
	}
	return text
}
