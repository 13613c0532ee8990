package plugin

import (
	"testing"

	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
)

// mapSettings is an author's configuration with a map, in a type of the author's.
type mapSettings[M any] struct {
	Labels M      `mapstructure:"labels"`
	Other  string `mapstructure:"other"`
}

func (s *mapSettings[M]) GetString(string) string            { return s.Other }
func (s *mapSettings[M]) GetBool(string) bool                { return false }
func (s *mapSettings[M]) GetInt(string) int                  { return 0 }
func (s *mapSettings[M]) GetStringSlice(string) []string     { return nil }
func (s *mapSettings[M]) GetStringMap(string) map[string]any { return nil }

func TestConfigure_DeliversAMapAsWritten(t *testing.T) {
	t.Parallel()
	schema := field.NewConfiguration([]field.SchemaField{
		field.StringMapField("labels", field.WithDefaultValue(map[string]any{"default": "x"})), field.StringField("other"),
	})
	for name, c := range map[string]struct {
		items map[string]any
		texts map[string]string // where the values are texts, numbers or truth values
	}{
		"H11: dots and capitals": {
			map[string]any{"Engineering.Team": "ops", "Port": 8080.0},
			map[string]string{"Engineering.Team": "ops", "Port": "8080"},
		},
		"H11: dots and capitals, numbers": {
			map[string]any{"A.b": 1.0, "C.d": 2.0},
			map[string]string{"A.b": "1", "C.d": "2"},
		},
		"H11: texts only":                    {map[string]any{"A.b": "x", "c": "y"}, map[string]string{"A.b": "x", "c": "y"}},
		"H11: keys that differ in case only": {map[string]any{"team": "a", "Team": "b"}, map[string]string{"team": "a", "Team": "b"}},
		"H11: a key within another":          {map[string]any{"a": "x", "a.b": "y"}, map[string]string{"a": "x", "a.b": "y"}},
		"H11: maps and lists within":         {map[string]any{"A": map[string]any{"B.c": []any{map[string]any{"D": nil}}}, "e": nil, "F": true}, nil},
		"H11: the other field's name as key": {map[string]any{"other": "x", "labels": "y"}, map[string]string{"other": "x", "labels": "y"}},
		"H11: empty":                         {map[string]any{}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string]any{"labels": c.items, "other": "text"}

			typed, diagnostic := decode[*mapSettings[map[string]any]](schema, values, nil)
			require.Nil(t, diagnostic)
			require.Equal(t, c.items, typed.Labels)
			require.Equal(t, "text", typed.Other)

			v, diagnostic := decode[*viper.Viper](schema, values, nil)
			require.Nil(t, diagnostic)
			require.Equal(t, c.items, v.GetStringMap("labels"))
			require.Equal(t, "text", v.GetString("other"))
			var later mapSettings[map[string]any]
			require.NoError(t, v.Unmarshal(&later), "the author decodes it")
			require.Equal(t, c.items, later.Labels)

			if c.texts != nil {
				texts, diagnostic := decode[*mapSettings[map[string]string]](schema, values, nil)
				require.Nil(t, diagnostic)
				require.Equal(t, c.texts, texts.Labels)
				require.Equal(t, c.texts, v.GetStringMapString("labels"))
			}
		})
	}
}
