package unmodified

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// sdkVersions are at both ends of each reading, with commits between releases.
var sdkVersions = map[reading][]string{
	readingUnknown: {"", "(devel)", "v0.0.0-20250115090000-0123456789ab", "main"},
	readingEarly:   {"", "(devel)", "v0.0.0-20250115090000-0123456789ab"},
	readingFile:    {"v0.0.11", "v0.1.32", "v0.2.0-0.20240801000000-0123456789ab", "v0.2.0"},
	readingArrays:  {"v0.2.9", "v0.2.10", "v0.2.24"},
	readingFlags:   {"v0.2.25", "v0.2.51", "v0.2.67", "v0.2.68-0.20250206000000-0123456789ab"},
	readingUntried: {"v0.2.1-0.20240801000000-0123456789ab", "v0.2.8", "v0.8.19-0.20260409135453-7a1a3a8306e5", "v0.8.19-0.20260409142600-69a1109eb33d", "v0.8.19-rc.1"},
	readingText:    {"v0.2.68", "v0.2.71", "v0.4.9", "v0.8.18", "v0.8.18-0.20260401000000-0123456789ab", "v0.8.19-0.20260408235959-0123456789ab"},
	readingFlat:    {"v0.8.19", "v0.9.20", "v0.11.1", "v0.11.2-0.20260530000000-0123456789ab"},
	readingNested:  {"v0.11.2", "v0.12.0", "v0.25.0", "v0.25.0+dirty", "v0.25.1-0.20260901000000-0123456789ab", "v1.0.0"},
}

// configurationOf is a connector that receives its configuration in both ways that
// the SDK has: as it was decoded, or as viper itself.
type configurationOf struct {
	Tags     []string       `mapstructure:"tags"`
	Settings map[string]any `mapstructure:"settings"`
}

func (c *configurationOf) GetString(string) string            { return "" }
func (c *configurationOf) GetBool(string) bool                { return false }
func (c *configurationOf) GetInt(string) int                  { return 0 }
func (c *configurationOf) GetStringSlice(string) []string     { return c.Tags }
func (c *configurationOf) GetStringMap(string) map[string]any { return c.Settings }

// received reads a configuration file as the SDKs of a reading do. Only one SDK can
// be linked into this test, so what the older ones do to the flags is written out
// here, as it was read in v0.2.0, v0.2.10 and v0.2.65, and seen in programs built with v0.2.71, v0.2.83, v0.8.18, v0.8.19,
// v0.11.1 and v0.11.2; viper and pflag are the same in all of them.
func received(t *testing.T, as reading, file []byte) (viaViper, decoded *configurationOf) {
	t.Helper()
	v := viper.New()
	v.SetConfigType("yaml")
	require.NoError(t, v.ReadConfig(bytes.NewReader(file)))
	command := &cobra.Command{}
	flags := command.Flags()
	if as == readingArrays {
		flags.StringArray("tags", []string{"default"}, "")
	} else {
		flags.StringSlice("tags", []string{"default"}, "")
	}
	switch as {
	case readingFile:
		flags.StringToString("settings", nil, "")
		require.NoError(t, v.BindPFlags(flags))
		var config configurationOf
		require.NoError(t, v.Unmarshal(&config))
		return &config, &config // The connector sees nothing else.
	case readingArrays, readingFlags: // There are none for maps.
	default:
		flags.StringToString("settings", nil, "")
	}
	switch as {
	case readingArrays, readingFlags, readingText:
		flags.VisitAll(func(flag *pflag.Flag) {
			if v.IsSet(flag.Name) {
				_ = flags.Set(flag.Name, v.GetString(flag.Name)) // The SDK ignores it too.
			}
		})
	case readingFlat, readingNested:
		cli.VisitFlags(command, v)
		if pairs := v.GetStringMapString("settings"); as == readingFlat && len(pairs) > 0 && !flags.Changed("settings") {
			var joined []string
			for key, value := range pairs {
				joined = append(joined, key+"="+value)
			}
			_ = flags.Set("settings", strings.Join(joined, ","))
		}
	}
	require.NoError(t, v.BindPFlags(flags))
	decoded, err := cli.MakeGenericConfiguration[*configurationOf](v)
	require.NoError(t, err)
	return &configurationOf{Tags: v.GetStringSlice("tags"), Settings: v.GetStringMap("settings")}, decoded
}

// written is the file for one field, and the error for it.
func written(t *testing.T, as reading, version, field string, value *pluginv1.Value) ([]byte, error) {
	t.Helper()
	receiver := Receiver{Build: Build{SDKVersion: version}, Early: as == readingEarly, Schema: &pluginv1.ConfigurationSchema{
		Fields: []*pluginv1.Field{{Name: "tags", DefaultValue: listValue("default")}, {Name: "settings"}},
	}}
	request := &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{field: value}}
	findings := receiver.Check(request)
	file, err := receiver.configuration(request, nil)
	if len(findings) > 0 {
		require.Error(t, err, "what Check finds is not written")
		require.Equal(t, field, findings[0].GetField())
		return nil, errors.New(findings[0].GetSummary())
	}
	require.NoError(t, err)
	return file, nil
}

func listValue(list ...string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: list}}}
}

func mapValue(t *testing.T, items map[string]any) *pluginv1.Value {
	t.Helper()
	value, err := structpb.NewStruct(items)
	require.NoError(t, err)
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: value}}
}

func TestReceiver_ListArrivesInEachSDKAsGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		list    []string
		refused string
	}{
		"H1: plain texts":                          {list: []string{"public", "app"}},
		"H1: one text":                             {list: []string{"public"}},
		"H1: commas":                               {list: []string{"OU=X,DC=Y", "a,b"}},
		"H1: quotation marks":                      {list: []string{`say "no"`, `"`, `""`, `'`}},
		"H1: line breaks":                          {list: []string{"-----BEGIN-----\nabc\n-----END-----\n", "a\rb"}},
		"H1: blanks at both ends":                  {list: []string{" lead", "trail ", "\ttab\t", " "}},
		"H1: brackets":                             {list: []string{"[a]", "]", "[", "map[k:v]"}},
		"H1: what YAML takes for something else":   {list: []string{"true", "null", "~", "007", "2024-01-01", "no", "- a", "{a: b}", "#"}},
		"H1: one text that YAML takes for another": {list: []string{"null"}},
		"H1: empty texts among others":             {list: []string{"", "a", ""}},
		"H1: two empty texts":                      {list: []string{"", ""}},
		"H1: backslashes":                          {list: []string{`\.`, `a\b`, `\`}},
		"H1: an equals sign":                       {list: []string{"a=b"}},
		"H1: beyond ASCII":                         {list: []string{"Zürich", "東京", "\u2028", "\ufeffx"}},
		"H1: an empty list in place of a default":  {list: []string{}},
		"H1: one empty text":                       {list: []string{""}, refused: "is a list of one empty text"},
		"H1: line breaks of Windows":               {list: []string{"s3cr3t\r\nb"}, refused: "carriage return"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for as, versions := range sdkVersions {
				for _, version := range versions {
					file, err := written(t, as, version, "tags", listValue(c.list...))
					switch {
					case as == readingUntried && len(c.list) > 0:
						require.ErrorContains(t, err, "how baton-sdk "+version+" reads a list is not known", version)
						continue
					case as == readingArrays && (len(c.list) > 1 || strings.ContainsAny(strings.Join(c.list, ""), ",\"\r\n")):
						require.ErrorContains(t, err, "which baton-sdk "+version+" may read as one text; give one text, or", version)
						require.NotContains(t, err.Error(), "s3cr3t")
						continue
					case as == readingEarly && strings.ContainsAny(strings.Join(c.list, ""), ",\"\r\n"):
						require.ErrorContains(t, err, "the program does not say with which release of baton-sdk", version)
						require.NotContains(t, err.Error(), "s3cr3t")
						continue
					case c.refused != "" && as != readingFile:
						require.ErrorContains(t, err, c.refused, version)
						require.NotContains(t, err.Error(), "s3cr3t")
						continue
					}
					require.NoError(t, err, version)
					readers := []reading{as}
					switch as {
					case readingUnknown, readingUntried:
						readers = []reading{readingText, readingFlat, readingNested} // It may be any.
					case readingArrays:
						readers = []reading{readingArrays, readingFlags}
					case readingEarly:
						readers = []reading{readingFile, readingFlags}
					}
					for _, reader := range readers {
						viaViper, decoded := received(t, reader, file)
						require.Equal(t, c.list, viaViper.Tags, "%s: %s", version, file)
						require.Equal(t, c.list, decoded.Tags, "%s: %s", version, file)
					}
				}
			}
		})
	}
}

func TestReceiver_MapArrivesInEachSDKAsGiven(t *testing.T) {
	t.Parallel()
	// A map is refused by the readings for which there is a reason.
	type refusals map[reading]string
	const lower = "in lower case"
	for name, c := range map[string]struct {
		items   map[string]any
		refused refusals
	}{
		"H11: dots and capitals":                {items: map[string]any{"Engineering.Team": "ops", "Port": 8080}},
		"H11: dots and capitals, numbers":       {items: map[string]any{"A.b": 1, "C.d": 2}},
		"H11: keys that differ in case only":    {items: map[string]any{"team": "a", "Team": "b", "TEAM": "c"}},
		"H11: a key within another":             {items: map[string]any{"a": "x", "a.b": "y", "a.b.c": "z"}},
		"H11: one key":                          {items: map[string]any{"A.B": "c"}},
		"H1: lower case":                        {items: map[string]any{"a": "x", "b": true, "c": 1.5, "d": 1e21}},
		"H1: capitals beyond ASCII":             {items: map[string]any{"Ärzte": "x", "İ": "y"}},
		"H1: commas and equals signs":           {items: map[string]any{"a": "x,b=2", "c": "z", "D": "OU=X,DC=Y"}},
		"H1: one text with an equals sign":      {items: map[string]any{"D": "OU=X,DC=Y"}},
		"H1: one text with a comma":             {items: map[string]any{"D": "x,y"}},
		"H1: quotation marks":                   {items: map[string]any{`a"b`: `"x"`, `"`: `y"`, "C": `""`}},
		"H1: line breaks":                       {items: map[string]any{"Key": "-----BEGIN-----\na=b\n-----END-----\n", "B": "x"}},
		"H1: an empty text":                     {items: map[string]any{"": "x", "B": ""}},
		"H1: JSON and YAML in a text":           {items: map[string]any{"A": `{"x": [1, 2]}`, "B": "map[k:v]x", "C": "{a: b}"}},
		"H1: a bracket within a text in quotes": {items: map[string]any{"A": `["x","y"]`, "B": "[a,b]"}},
		"H1: a map in a map, lower case": {
			items:   map[string]any{"a": 1, "b": map[string]any{"c": 2, "d.e": []any{"x", map[string]any{"y": nil}}}, "f": nil},
			refused: refusals{readingFlat: "v0.11.2 or later"},
		},
		"H1: a list in a map, lower case": {
			items:   map[string]any{"b": []any{}},
			refused: refusals{readingFlat: "v0.11.2 or later"},
		},
		"H11: a map in a map, capitals outside": {
			items:   map[string]any{"B": map[string]any{"c": "x"}},
			refused: refusals{readingText: lower, readingFlat: "v0.11.2 or later", readingNested: lower},
		},
		"H11: a map in a map, capitals inside": {
			items:   map[string]any{"b": map[string]any{"c": []any{map[string]any{"D": "x"}}}},
			refused: refusals{readingText: lower, readingFlat: "v0.11.2 or later", readingNested: lower},
		},
		"H1: a key without a value": {
			items:   map[string]any{"a": nil, "b": "x"},
			refused: refusals{readingFlat: "v0.11.2 or later", readingNested: "leave the key out"},
		},
		"H11: an equals sign in a key": {
			items:   map[string]any{"A=b": "s3cr3t", "c": "x"},
			refused: refusals{readingText: "equals sign", readingFlat: "equals sign", readingNested: "equals sign"},
		},
		"H11: a bracket at the end": {
			items:   map[string]any{"A": "s3cr3t]", "c": "x"},
			refused: refusals{readingText: "bracket", readingFlat: "bracket", readingNested: "bracket"},
		},
		"H11: a blank at the end": {
			items:   map[string]any{"A": "s3cr3t ", "c": "x"},
			refused: refusals{readingText: "blank", readingFlat: "blank", readingNested: "blank"},
		},
		"H11: line breaks of Windows": {
			items:   map[string]any{"A": "s3cr3t\r\nb", "c": "x"},
			refused: refusals{readingText: "carriage return", readingFlat: "carriage return", readingNested: "carriage return"},
		},
		"H11: one key with a quotation mark at the end": {
			items:   map[string]any{"A": `s3cr3t"`},
			refused: refusals{readingText: "quotation mark", readingFlat: "quotation mark", readingNested: "quotation mark"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for as, versions := range sdkVersions {
				for _, version := range versions {
					file, err := written(t, as, version, "settings", mapValue(t, c.items))
					want := c.refused[as]
					switch as {
					case readingFile:
						want = refusedInAFile(c.items)
					case readingArrays, readingFlags:
						want = "baton-sdk " + version + " has no fields for maps; use a release of the connector that is built with baton-sdk v0.2.68 or later"
					case readingUnknown, readingEarly:
						want = "the program does not say with which release of baton-sdk"
					case readingUntried:
						want = "how baton-sdk " + version + " reads a map is not known"
					}
					if want != "" {
						require.ErrorContains(t, err, want, version)
						require.NotContains(t, err.Error(), "s3cr3t")
						continue
					}
					require.NoError(t, err, version)
					viaViper, decoded := received(t, as, file)
					requireAsGiven(t, c.items, viaViper.Settings, "%s: %s", version, file)
					requireAsGiven(t, c.items, decoded.Settings, "%s: %s", version, file)
				}
			}
		})
	}
}

// refusedInAFile is why a map does not reach a connector whose file is decoded as
// viper reads it; empty if it does.
func refusedInAFile(items map[string]any) string {
	refused := ""
	for key, item := range items {
		switch item.(type) {
		case string, int, float64, bool:
		default:
			return "with a map, a list or nothing as a value"
		}
		if strings.ToLower(key) != key {
			refused = "with capital letters in a key"
		} else if refused == "" && (key == "" || strings.Contains(key, ".")) {
			refused = "with a dot in a key"
		}
	}
	return refused
}

// requireAsGiven compares maps. A number and a truth value may arrive as a text: a
// flag holds nothing else.
func requireAsGiven(t *testing.T, want, got map[string]any, context ...any) {
	t.Helper()
	texts := map[string]any{}
	for key, item := range want {
		texts[key] = item
		if _, ok := got[key].(string); ok && item != nil {
			texts[key] = text(asJSON(t, item))
		}
	}
	require.Equal(t, asJSON(t, texts), asJSON(t, got), context...)
}

func asJSON(t *testing.T, value any) any {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	var decoded any
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	return decoded
}

// Every list of two and every map of up to two keys that can be made of awkward
// texts either arrives as it is given or is refused.
func TestReceiver_AwkwardValuesArriveAsGiven(t *testing.T) {
	t.Parallel()
	awkward := []string{"", "B", ",", "=", `"`, "[", "\n", "\r\n", "a=b", "a,b=c", ` x`, `x]`, `"a=b"`, `{"a":"b"}`, "a.B", "\u00a0"}
	for as, version := range map[reading]string{readingFile: "v0.1.32", readingFlags: "v0.2.67", readingText: "v0.8.18", readingFlat: "v0.11.1", readingNested: "v0.25.0"} {
		t.Run("H1: a list, "+version, func(t *testing.T) {
			t.Parallel()
			for _, one := range awkward {
				for _, other := range awkward {
					list := []string{one, other}
					file, err := written(t, as, version, "tags", listValue(list...))
					if err != nil {
						require.NotEqual(t, readingFile, as)
						require.Contains(t, one+","+other, "\r\n", "%q is refused: %v", list, err)
						continue
					}
					viaViper, decoded := received(t, as, file)
					require.Equal(t, list, viaViper.Tags)
					require.Equal(t, list, decoded.Tags)
				}
			}
		})
		if as == readingFlags {
			continue
		}
		t.Run("H11: a map, "+version, func(t *testing.T) {
			t.Parallel()
			arrived := 0
			for _, key := range awkward {
				for _, value := range awkward {
					for _, more := range []map[string]any{{}, {"Other": value}, {"x": 1}} {
						items := map[string]any{key: value}
						maps.Copy(items, more)
						file, err := written(t, as, version, "settings", mapValue(t, items))
						if err != nil {
							continue
						}
						arrived++
						viaViper, decoded := received(t, as, file)
						context := fmt.Sprintf("%q: %s", items, file)
						requireAsGiven(t, items, viaViper.Settings, context)
						requireAsGiven(t, items, decoded.Settings, context)
					}
				}
			}
			require.Greater(t, arrived, 200)
		})
	}
}
