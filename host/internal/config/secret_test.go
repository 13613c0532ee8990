package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// printed is a value in every way in which Go programs print values.
func printed(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", value)
	}
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	out.Write(encoded)
	slog.New(slog.NewTextHandler(&out, nil)).Info("", "value", value)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("", "value", value)
	for _, encoder := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel)).Info("", zap.Any("value", value))
	}
	return out.String()
}

// dumped is a value as a failing assertion shows it: by reflection, past all
// methods and into fields that are not exported.
func dumped(value any) string {
	failure := &failure{}
	assert.Equal(failure, "another value", value)
	return failure.String()
}

type failure struct{ bytes.Buffer }

func (f *failure) Errorf(format string, arguments ...any) { fmt.Fprintf(f, format, arguments...) }

func TestSecret_IsNotPrintedByAccident(t *testing.T) {
	t.Parallel()
	const canary = "hunter2-canary"
	text := secret.New(canary)
	require.Equal(t, canary, text.Reveal())
	require.Empty(t, secret.Text{}.Reveal())
	require.Equal(t, "(secret)", text.String())
	require.Equal(t, "(secret)", text.GoString())
	require.Contains(t, printed(t, canary), canary)
	require.Contains(t, dumped(struct{ hidden string }{canary}), canary)

	type inside struct {
		Exported secret.Text
		hidden   secret.Text
	}
	for name, value := range map[string]any{
		"value":   text,
		"pointer": &text,
		"struct":  inside{text, text},
		"list":    []secret.Text{text},
		"map":     map[string]secret.Text{"k": text},
		"upload":  config.Upload{ClientSecret: text},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := printed(t, value)
			require.Contains(t, shown, "(secret)")
			require.NotContains(t, shown, canary)
			require.NotContains(t, shown, fmt.Sprintf("%x", canary))
			require.NotContains(t, dumped(value), canary)
		})
	}
	encoded, err := yaml.Marshal(map[string]any{"k": text})
	require.NoError(t, err)
	require.Equal(t, "k: (secret)\n", string(encoded))
}

func TestConfig_IsNotPrintedByAccident(t *testing.T) {
	t.Parallel()
	loaded, _, err := load(t, `
plugins: { a: { config: { token: hunter2-literal, name: "${env:TOKEN}" } } }
uploads: { w: { client-id: "i@d/x", client-secret: "${env:C1}", plugins: [a] } }
`, map[string]string{"TOKEN": "hunter2-resolved", "C1": c1Secret})
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(&pluginv1.ConfigurationSchema{Fields: []*pluginv1.Field{
		{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true},
		{Name: "name", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true},
	}})
	require.Empty(t, problems)
	require.Equal(t, "hunter2-literal", bound.Secrets.Reveal()["token"].GetStringValue())

	for name, value := range map[string]any{
		"configuration": loaded,
		"plugin":        loaded.Plugins[0],
		"settings":      loaded.Plugins[0].Settings,
		"upload":        loaded.Uploads[0],
		"bound":         bound,
		"secrets":       bound.Secrets,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotContains(t, printed(t, value), "hunter2")
			require.NotContains(t, dumped(value), "hunter2")
			require.NotContains(t, dumped(value), c1Secret)
		})
	}
}
