package redact

import (
	"encoding/json"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Request makes a Redactor of all that is secret in a plugin's configuration.
func Request(request *pluginv1.ConfigureRequest) *Redactor { return Of(Secrets(request)...) }

// Secrets are the texts that are secret in a plugin's configuration: the values of
// secret fields and the plugin's own key, whole and its private part.
func Secrets(request *pluginv1.ConfigureRequest) []string {
	var texts []string
	for _, value := range request.GetSecrets() {
		texts = append(texts, Texts(value)...)
	}
	if key := request.GetHost().GetPasswordKey(); key != "" {
		texts = append(texts, key)
		var private struct {
			D string `json:"d"`
		}
		if json.Unmarshal([]byte(key), &private) == nil {
			texts = append(texts, private.D)
		}
	}
	return texts
}

// Texts are the texts in a value, numbers among them.
func Texts(value *pluginv1.Value) []string {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return []string{kind.StringValue}
	case *pluginv1.Value_IntValue:
		return []string{strconv.FormatInt(kind.IntValue, 10)}
	case *pluginv1.Value_StringList:
		return kind.StringList.GetValues()
	case *pluginv1.Value_FileContent:
		return []string{string(kind.FileContent)}
	case *pluginv1.Value_MapValue:
		return textsOfMap(structpb.NewStructValue(kind.MapValue))
	default:
		return nil
	}
}

func textsOfMap(value *structpb.Value) []string {
	switch kind := value.GetKind().(type) {
	case *structpb.Value_StringValue:
		return []string{kind.StringValue}
	case *structpb.Value_NumberValue:
		return []string{strconv.FormatFloat(kind.NumberValue, 'f', -1, 64)}
	case *structpb.Value_ListValue:
		var texts []string
		for _, item := range kind.ListValue.GetValues() {
			texts = append(texts, textsOfMap(item)...)
		}
		return texts
	case *structpb.Value_StructValue:
		var texts []string
		for _, item := range kind.StructValue.GetFields() {
			texts = append(texts, textsOfMap(item)...)
		}
		return texts
	default:
		return nil
	}
}
