package unmodified

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Receiver is an unmodified connector as the receiver of a configuration.
type Receiver struct {
	// Build decides how its lists and maps are written.
	Build Build
	// Early says that its SDK is one from before v0.2.68: it prints no schema. Build need
	// not say so.
	Early bool
	// FlagTypes are the types of its flags by their names, in the words of its help. Of a
	// connector that prints its schema there are none.
	FlagTypes map[string]string
	// Schema is the configuration that it takes.
	Schema *pluginv1.ConfigurationSchema
}

// Check returns a finding for each field whose value the connector would not read
// as it is given. It quotes no value and no key of a map.
func (r Receiver) Check(request *pluginv1.ConfigureRequest) []*pluginv1.Diagnostic {
	var findings []*pluginv1.Diagnostic
	values := given(request)
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if _, err := r.collection(field, values[field]); err != nil {
			findings = append(findings, &pluginv1.Diagnostic{Severity: pluginv1.Severity_SEVERITY_ERROR, Field: field, Summary: "the value " + err.Error()})
		}
	}
	return findings
}

// given is the values and secrets of a request in one map.
func given(request *pluginv1.ConfigureRequest) map[string]*pluginv1.Value {
	all := map[string]*pluginv1.Value{}
	maps.Copy(all, request.GetValues())
	maps.Copy(all, request.GetSecrets())
	return all
}

// collection is a list or a map as it must stand in the file for the connector to
// read it as it is given. It is nil for an absent field and for every other value.
func (r Receiver) collection(field string, value *pluginv1.Value) (any, error) {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringList:
		list := kind.StringList.GetValues()
		if len(list) > 0 {
			return r.list(field, list)
		}
		if r.hasDefault(field) {
			return "", nil // Without it the connector reads the default.
		}
	case *pluginv1.Value_MapValue:
		items := kind.MapValue.AsMap()
		if len(items) > 0 {
			return r.mapping(items)
		}
		if r.hasDefault(field) {
			return items, nil
		}
	}
	return nil, nil
}

func (r Receiver) hasDefault(name string) bool {
	return slices.ContainsFunc(r.Schema.GetFields(), func(field *pluginv1.Field) bool {
		return field.GetName() == name && field.GetDefaultValue().GetKind() != nil
	})
}

// sdk names the connector's SDK in an error.
func (r Receiver) sdk() string {
	if r.Build.isUnknown() {
		return "the connector's baton-sdk"
	}
	return "baton-sdk " + r.Build.SDKVersion
}

// reading returns how the connector reads.
func (r Receiver) reading() reading {
	if reading := r.Build.reading(); reading != readingUnknown || !r.Early {
		return reading
	}
	return readingEarly
}

// list is one line of CSV, which is the form of the flag. The connector reads it
// twice: as the flag's value and as viper's.
func (r Receiver) list(field string, list []string) (any, error) {
	line := csvLine(list)
	reading, flag := r.reading(), r.FlagTypes[field]
	isWhole := reading == readingArrays && flag != sliceWord || reading == readingEarly && flag == arrayWord
	isPlain := !slices.ContainsFunc(list, func(text string) bool { return strings.ContainsAny(text, ",\"\r\n") })
	switch {
	case reading == readingUntried:
		return nil, fmt.Errorf("is a list, and how %s reads a list is not known; use a release of the connector that is built with a release of baton-sdk from v0.2.68 on", r.sdk())
	case reading == readingFile:
		return list, nil
	case isWhole && (len(list) > 1 || !isPlain):
		return nil, fmt.Errorf("is a list of more than one text, or with a comma, a quotation mark or a line break in it, which %s may read as one text; "+
			"give one text, or use a release of the connector that is built with baton-sdk v0.2.25 or later", r.sdk())
	case reading == readingEarly && !isPlain:
		return nil, fmt.Errorf("is a list with a comma, a quotation mark or a line break in a text, and the program does not say with which release of baton-sdk it is built, which decides how that must be written; %s",
			nameExecutable)
	case isWhole, reading == readingEarly:
		line = strings.Join(list, ",") // Without quotation marks around anything.
	}
	if line == "" {
		return nil, errors.New("is a list of one empty text, which the connector reads as an empty list; leave the text out, or give it a value")
	}
	if read, err := csv.NewReader(strings.NewReader(line)).Read(); err != nil || !slices.Equal(read, list) {
		return nil, errors.New("has a text with a carriage return and a line feed, of which the connector reads the line feed only; " +
			"end its lines with a line feed alone")
	}
	return line, nil
}

// nameExecutable is what to do where a script starts the connector.
const nameExecutable = "name the connector's own executable, of a release that is built with a release of baton-sdk, or leave the field out"

func csvLine(values []string) string {
	var line strings.Builder
	writer := csv.NewWriter(&line)
	_ = writer.Write(values) // A strings.Builder takes everything.
	writer.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}

// mapping is the form of a map that leaves its keys as they are, or an error where
// the connector's SDK reads none.
func (r Receiver) mapping(items map[string]any) (any, error) {
	reading := r.reading()
	nested := isNested(items)
	switch {
	case reading == readingUnknown, reading == readingEarly:
		return nil, errors.New("is a map, and the program does not say with which release of baton-sdk it is built, which decides how a map must be written; " + nameExecutable)
	case reading == readingFlags, reading == readingArrays:
		return nil, fmt.Errorf("is a map, and %s has no fields for maps; use a release of the connector that is built with baton-sdk %s or later", r.sdk(), describedSince)
	case reading == readingFile:
		return r.fileMap(items, nested)
	case reading == readingUntried:
		return nil, fmt.Errorf("is a map, and how %s reads a map is not known; use a release of the connector that is built with a release of baton-sdk from v0.2.68 on", r.sdk())
	case nested && reading == readingFlat:
		return nil, fmt.Errorf("is a map with a map, a list or nothing as a value, which %s reads as an empty text; "+
			"give texts only, or use a release of the connector that is built with baton-sdk v0.11.2 or later", r.sdk())
	case nested && reading == readingNested && !hasCollection(items):
		return nil, fmt.Errorf("is a map with a key that has no value, which %s reads as an empty text; leave the key out, or give it a text", r.sdk())
	case nested && !isLowerCase(items):
		return nil, fmt.Errorf("is a map with a map, a list or nothing as a value, and with capital letters in a key, which %s reads in lower case; "+
			"write the keys in lower case if the app allows it, give texts only, or use the connector as a plugin of baton-host", r.sdk())
	case nested, reading == readingText && isLowerCase(items):
		return items, nil // As viper reads it, which is as it is given.
	}
	pairs, err := r.pairs(items)
	if err != nil {
		return nil, err
	}
	if reading == readingText {
		return strings.Join(pairs, ","), nil
	}
	// The SDK joins key and value of each pair, and the pairs, to what the flag is
	// set from. So a pair that needs quotes brings them along.
	joined := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		joined[key] = value
	}
	encoded, err := json.Marshal(joined)
	return string(encoded), err
}

// fileMap is a map for a connector that reads the file as viper does, in lower case. Where
// it decodes the file, viper takes the map apart at the dots of its keys first.
func (r Receiver) fileMap(items map[string]any, nested bool) (any, error) {
	switch {
	case nested:
		return nil, fmt.Errorf("is a map with a map, a list or nothing as a value, which %s may lose; give texts only, or use a release of the connector that is built with baton-sdk v0.11.2 or later", r.sdk())
	case !isLowerCase(items):
		return nil, fmt.Errorf("is a map with capital letters in a key, which %s reads in lower case; write the keys in lower case if the app allows it, or use a release of the connector that is built with baton-sdk v0.8.19 or later", r.sdk())
	}
	for key := range items {
		if key == "" || strings.Contains(key, ".") {
			return nil, fmt.Errorf("is a map with a dot in a key, or an empty one, at which %s takes it apart; use a release of the connector that is built with baton-sdk v0.8.19 or later", r.sdk())
		}
	}
	return items, nil
}

// pairs are the parts, key=value, of the text that sets the flag of a map.
func (r Receiver) pairs(items map[string]any) ([]string, error) {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(items)) {
		pair := key + "=" + text(items[key])
		quoted := csvLine([]string{pair})
		switch {
		case strings.Contains(key, "="):
			return nil, fmt.Errorf("is a map with an equals sign in a key, at which %s ends the key; use the connector as a plugin of baton-host", r.sdk())
		case strings.Contains(pair, "\r\n"):
			return nil, fmt.Errorf("is a map with a carriage return and a line feed in a text, of which %s reads the line feed only; end its lines with a line feed alone", r.sdk())
		case strings.Trim("["+strings.TrimSpace(quoted)+"]", "[]") != quoted:
			// The flag's value is shown in brackets, and viper takes off all that are
			// at its ends. Any pair may stand there.
			return nil, fmt.Errorf("is a map with a key that begins, or a text that ends, with a bracket or a blank, which %s takes off; use the connector as a plugin of baton-host", r.sdk())
		case len(items) > 1 || strings.Count(pair, "=") > 1:
			pairs = append(pairs, quoted)
		case strings.Trim(pair, `"`) != pair:
			// One pair with one equals sign is no CSV to the flag.
			return nil, fmt.Errorf("is a map with a single key, which begins, or whose text ends, with a quotation mark, which %s takes off; use the connector as a plugin of baton-host", r.sdk())
		default:
			pairs = append(pairs, pair)
		}
	}
	return pairs, nil
}

// text is a value of a flat map as a text, which is all that a flag holds.
func text(value any) string {
	switch value := value.(type) {
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(value)
	default:
		return fmt.Sprint(value)
	}
}

// isNested reports whether a value of the map is no text, number or truth value.
func isNested(items map[string]any) bool {
	for _, item := range items {
		switch item.(type) {
		case string, float64, bool:
		default:
			return true
		}
	}
	return false
}

// hasCollection reports whether a value of the map is a map or a list.
func hasCollection(items map[string]any) bool {
	for _, item := range items {
		switch item.(type) {
		case map[string]any, []any:
			return true
		}
	}
	return false
}

// isLowerCase reports whether viper leaves every key in the value as it is.
func isLowerCase(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			if strings.ToLower(key) != key || !isLowerCase(item) {
				return false
			}
		}
	case []any:
		return !slices.ContainsFunc(value, func(item any) bool { return !isLowerCase(item) })
	}
	return true
}
