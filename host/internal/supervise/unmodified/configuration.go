package unmodified

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// ConfigPathEnv is the SDK's variable with the path of a connector's configuration
// file, which must end in .yaml.
const ConfigPathEnv = "BATON_CONFIG_PATH"

// configuration is the connector's configuration file. writeFile gives the content of
// a file field to the connector and returns its path.
func (r Receiver) configuration(request *pluginv1.ConfigureRequest, writeFile func(content []byte) (path string, err error)) ([]byte, error) {
	values := map[string]any{
		// What may be changed in the app, and which plugin serves tickets, is
		// decided in front of every plugin.
		"provisioning": true,
		"ticketing":    true,
		"log-format":   "json",
		"log-level":    cmp.Or(request.GetHost().GetLogLevel(), "info"),
	}
	if key := request.GetHost().GetPasswordKey(); key != "" {
		// The form of a client secret, which it is to the connector: without a
		// client id it is the key of passwords and nothing else.
		values["client-id"] = "baton-host" // The one needs the other.
		values["client-secret"] = "baton-host:passwords:v1:" + base64.RawURLEncoding.EncodeToString([]byte(key))
	}
	fields := given(request)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		plain, err := r.written(name, fields[name], writeFile)
		if err != nil {
			return nil, fmt.Errorf("the field %s: %w", name, err)
		}
		if plain != nil {
			values[name] = plain
		}
	}
	return yaml.Marshal(values)
}

// written is a value as it stands in the file, or nil for none.
func (r Receiver) written(field string, value *pluginv1.Value, writeFile func([]byte) (string, error)) (any, error) {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return kind.StringValue, nil
	case *pluginv1.Value_BoolValue:
		return kind.BoolValue, nil
	case *pluginv1.Value_IntValue:
		return kind.IntValue, nil
	case *pluginv1.Value_FileContent:
		return writeFile(kind.FileContent)
	default:
		return r.collection(field, value)
	}
}
