package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	sdkfield "github.com/conductorone/baton-sdk/pkg/field"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// brokenRules returns the rules that a field's value, or nil for none, breaks:
// the ends of sentences that begin with the field's name. They name the rule and
// never the value. As in the SDK a text, list or number that is empty or zero
// counts as not given.
func brokenRules(field *pluginv1.Field, value *pluginv1.Value) []string {
	rules := field.GetRules()
	if rules == nil {
		return nil
	}
	checkEmpty := rules.GetCheckEmpty()
	switch field.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING:
		if text := value.GetStringValue(); text != "" || checkEmpty {
			return brokenTextRules(rules, text)
		}
	case pluginv1.FieldType_FIELD_TYPE_INT:
		if number := value.GetIntValue(); number != 0 || checkEmpty {
			return brokenNumberRules(rules, number)
		}
	case pluginv1.FieldType_FIELD_TYPE_BOOL:
		if value != nil || checkEmpty {
			return brokenChoice(rules, strconv.FormatBool(value.GetBoolValue()))
		}
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		if list := value.GetStringList().GetValues(); len(list) > 0 || checkEmpty {
			return brokenListRules(rules, list)
		}
	}
	return nil
}

func brokenChoice(rules *pluginv1.Rules, text string) []string {
	var broken []string
	if allowed := rules.GetAllowedValues(); len(allowed) > 0 && !slices.Contains(allowed, text) {
		if len(allowed) == 1 {
			broken = append(broken, "must be "+quotedList(allowed))
		} else {
			broken = append(broken, "must be one of "+quotedList(allowed))
		}
	}
	if forbidden := rules.GetForbiddenValues(); slices.Contains(forbidden, text) {
		broken = append(broken, "must be none of "+quotedList(forbidden))
	}
	return broken
}

func brokenTextRules(rules *pluginv1.Rules, text string) []string {
	broken := brokenChoice(rules, text)
	add := func(holds bool, format string, arguments ...any) {
		if !holds {
			broken = append(broken, fmt.Sprintf(format, arguments...))
		}
	}
	length := uint64(len(text))
	if rules.MinLength != nil {
		add(length >= rules.GetMinLength(), "must have at least %d bytes", rules.GetMinLength())
	}
	if rules.MaxLength != nil {
		add(length <= rules.GetMaxLength(), "must have at most %d bytes", rules.GetMaxLength())
	}
	add(strings.HasPrefix(text, rules.GetPrefix()), "must begin with %q", rules.GetPrefix())
	add(strings.HasSuffix(text, rules.GetSuffix()), "must end with %q", rules.GetSuffix())
	add(strings.Contains(text, rules.GetContains()), "must contain %q", rules.GetContains())
	// A pattern that does not compile is for the plugin to explain.
	if pattern, err := regexp.CompilePOSIX(rules.GetPattern()); err == nil {
		add(pattern.MatchString(text), "must match the pattern %q", rules.GetPattern())
	}
	if format, ok := formats[rules.GetFormat()]; ok {
		add(format.holds(text), "must be %s", format.name)
	}
	return broken
}

// formats are the well-known forms, as the SDK has them.
var formats = map[pluginv1.StringFormat]stringFormat{
	pluginv1.StringFormat_STRING_FORMAT_EMAIL:    {configv1.WellKnownString_WELL_KNOWN_STRING_EMAIL, "an e-mail address"},
	pluginv1.StringFormat_STRING_FORMAT_HOSTNAME: {configv1.WellKnownString_WELL_KNOWN_STRING_HOSTNAME, "a host name or an IP address"},
	pluginv1.StringFormat_STRING_FORMAT_IP:       {configv1.WellKnownString_WELL_KNOWN_STRING_IP, "an IP address"},
	pluginv1.StringFormat_STRING_FORMAT_IPV4:     {configv1.WellKnownString_WELL_KNOWN_STRING_IPV4, "an IPv4 address"},
	pluginv1.StringFormat_STRING_FORMAT_IPV6:     {configv1.WellKnownString_WELL_KNOWN_STRING_IPV6, "an IPv6 address"},
	pluginv1.StringFormat_STRING_FORMAT_URI:      {configv1.WellKnownString_WELL_KNOWN_STRING_URI, "an absolute URI, such as https://app.example.com/path"},
	pluginv1.StringFormat_STRING_FORMAT_UUID:     {configv1.WellKnownString_WELL_KNOWN_STRING_UUID, "a UUID"},
}

type stringFormat struct {
	sdk  configv1.WellKnownString
	name string
}

func (f stringFormat) holds(text string) bool {
	rules := configv1.StringRules_builder{WellKnown: f.sdk}.Build()
	// The SDK's error quotes the value; only whether there is one counts.
	return sdkfield.ValidateStringRules(rules, text, "") == nil
}

func brokenNumberRules(rules *pluginv1.Rules, number int64) []string {
	broken := brokenChoice(rules, strconv.FormatInt(number, 10))
	if rules.Minimum != nil && number < rules.GetMinimum() {
		broken = append(broken, fmt.Sprintf("must be at least %d", rules.GetMinimum()))
	}
	if rules.Maximum != nil && number > rules.GetMaximum() {
		broken = append(broken, fmt.Sprintf("must be at most %d", rules.GetMaximum()))
	}
	return broken
}

func brokenListRules(rules *pluginv1.Rules, list []string) []string {
	var broken []string
	count := uint64(len(list))
	if rules.MinItems != nil && count < rules.GetMinItems() {
		broken = append(broken, fmt.Sprintf("must have at least %d items", rules.GetMinItems()))
	}
	if rules.MaxItems != nil && count > rules.GetMaxItems() {
		broken = append(broken, fmt.Sprintf("must have at most %d items", rules.GetMaxItems()))
	}
	seen := map[string]int{}
	for i, item := range list {
		if first, ok := seen[item]; ok && rules.GetUniqueItems() {
			broken = append(broken, fmt.Sprintf("has the same item twice: items %d and %d", first+1, i+1))
			continue
		}
		seen[item] = i
		if item == "" {
			continue
		}
		for _, rule := range brokenTextRules(rules, item) {
			broken = append(broken, fmt.Sprintf("is wrong in item %d, which %s", i+1, rule))
		}
	}
	return broken
}

func quotedList(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, text := range texts {
		quoted = append(quoted, strconv.Quote(text))
	}
	return strings.Join(quoted, ", ")
}
