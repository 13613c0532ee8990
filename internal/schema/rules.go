package schema

import (
	"math"
	"strconv"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// wireRules are a field's rules, or nil if it has none.
func wireRules(f *configv1.Field) *pluginv1.Rules {
	rules := &pluginv1.Rules{}
	switch {
	case f.HasStringField():
		addStringRules(rules, f.GetStringField().GetRules())
	case f.HasIntField():
		addIntRules(rules, f.GetIntField().GetRules())
	case f.HasBoolField():
		if r := f.GetBoolField().GetRules(); r.HasEq() {
			rules.AllowedValues = []string{strconv.FormatBool(r.GetEq())}
		}
	case f.HasStringSliceField():
		addListRules(rules, f.GetStringSliceField().GetRules())
	case f.HasStringMapField():
		rules.CheckEmpty = f.GetStringMapField().GetRules().GetValidateEmpty()
	}
	if proto.Equal(rules, &pluginv1.Rules{}) {
		return nil
	}
	return rules
}

func addStringRules(rules *pluginv1.Rules, r *configv1.StringRules) {
	if r == nil {
		return
	}
	rules.AllowedValues = r.GetIn()
	rules.ForbiddenValues = r.GetNotIn()
	rules.Pattern = r.GetPattern()
	rules.Prefix = r.GetPrefix()
	rules.Suffix = r.GetSuffix()
	rules.Contains = r.GetContains()
	rules.Format = stringFormats[r.GetWellKnown()]
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasEq() {
		rules.AllowedValues = []string{r.GetEq()}
	}
	if r.HasMinLen() {
		rules.MinLength = proto.Uint64(r.GetMinLen())
	}
	if r.HasMaxLen() {
		rules.MaxLength = proto.Uint64(r.GetMaxLen())
	}
	if r.HasLen() {
		rules.MinLength = proto.Uint64(r.GetLen())
		rules.MaxLength = proto.Uint64(r.GetLen())
	}
}

var stringFormats = map[configv1.WellKnownString]pluginv1.StringFormat{
	configv1.WellKnownString_WELL_KNOWN_STRING_EMAIL:    pluginv1.StringFormat_STRING_FORMAT_EMAIL,
	configv1.WellKnownString_WELL_KNOWN_STRING_HOSTNAME: pluginv1.StringFormat_STRING_FORMAT_HOSTNAME,
	configv1.WellKnownString_WELL_KNOWN_STRING_IP:       pluginv1.StringFormat_STRING_FORMAT_IP,
	configv1.WellKnownString_WELL_KNOWN_STRING_IPV4:     pluginv1.StringFormat_STRING_FORMAT_IPV4,
	configv1.WellKnownString_WELL_KNOWN_STRING_IPV6:     pluginv1.StringFormat_STRING_FORMAT_IPV6,
	configv1.WellKnownString_WELL_KNOWN_STRING_URI:      pluginv1.StringFormat_STRING_FORMAT_URI,
	configv1.WellKnownString_WELL_KNOWN_STRING_ADDRESS:  pluginv1.StringFormat_STRING_FORMAT_HOSTNAME,
	configv1.WellKnownString_WELL_KNOWN_STRING_UUID:     pluginv1.StringFormat_STRING_FORMAT_UUID,
}

func addIntRules(rules *pluginv1.Rules, r *configv1.Int64Rules) {
	if r == nil {
		return
	}
	rules.AllowedValues = decimals(r.GetIn())
	rules.ForbiddenValues = decimals(r.GetNotIn())
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasEq() {
		rules.AllowedValues = decimals([]int64{r.GetEq()})
	}
	if r.HasGt() && r.GetGt() < math.MaxInt64 {
		rules.Minimum = proto.Int64(r.GetGt() + 1)
	}
	if r.HasGte() {
		rules.Minimum = proto.Int64(r.GetGte())
	}
	if r.HasLt() && r.GetLt() > math.MinInt64 {
		rules.Maximum = proto.Int64(r.GetLt() - 1)
	}
	if r.HasLte() {
		rules.Maximum = proto.Int64(r.GetLte())
	}
}

func decimals(values []int64) []string {
	var texts []string
	for _, value := range values {
		texts = append(texts, strconv.FormatInt(value, 10))
	}
	return texts
}

func addListRules(rules *pluginv1.Rules, r *configv1.RepeatedStringRules) {
	if r == nil {
		return
	}
	addStringRules(rules, r.GetItemRules())
	rules.UniqueItems = r.GetUnique()
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasMinItems() {
		rules.MinItems = proto.Uint64(r.GetMinItems())
	}
	if r.HasMaxItems() {
		rules.MaxItems = proto.Uint64(r.GetMaxItems())
	}
}
