package scim

import (
	"slices"
	"strings"
	"unicode/utf8"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// userType is the resource type of accounts. Accounts have no entitlements or
// grants to ask for, which halves the calls of a sync.
func userType() *v2.ResourceType {
	return v2.ResourceType_builder{
		Id:          "user",
		DisplayName: "User",
		Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
		Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
	}.Build()
}

// accountType is userType for reading only.
var accountType = userType()

// maxName is the longest display name C1's protocol takes, in bytes.
const maxName = 1024

// resource makes the account of a user.
//
// The profile and the creation time are set on the resource alone: that is
// where the SDK's readers look first, and a second copy in the trait would cost
// a fifth of a sync. The status is set on both: a trait without one means
// "enabled" to every reader of the trait.
func (u *user) resource(othersActive bool) (*v2.Resource, error) {
	status, details := u.status(othersActive)
	traits := []resource.UserTraitOption{
		resource.WithDetailedStatus(status, details), //nolint:staticcheck // the SDK mirrors it onto the resource
		resource.WithUserLogin(u.login()),
	}
	emails := u.emails()
	for i, email := range emails {
		traits = append(traits, resource.WithEmail(email, i == 0))
	}
	if employee := strings.TrimSpace(string(u.workplace().EmployeeNumber)); employee != "" {
		traits = append(traits, resource.WithEmployeeID(employee))
	}

	email := first(emails...)
	var space [24]attribute // as a rule enough, and no garbage
	shown := u.profile(space[:0], email)
	for i, one := range shown {
		shown[i].value = u.masked.mask(one.value)
	}
	profile, err := packProfile(shown)
	if err != nil {
		return nil, err
	}
	attributes := []resource.ResourceOption{withProfile(profile)}
	if !u.Meta.Created.IsZero() {
		attributes = append(attributes, resource.WithResourceCreatedAt(u.Meta.Created.Time))
	}
	return resource.NewUserResource(cut(u.masked.mask(u.shownName(email)), maxName), accountType, string(u.ID.text), traits, attributes...)
}

// status is the state that active gives. In a list in which no user has it, every user counts as
// enabled: the app knows no others. Where other users have it, a user without it may
// be one that the app has disabled: some apps send active only if it is true.
func (u *user) status(othersActive bool) (v2.UserTrait_Status_Status, string) {
	switch {
	case u.Active == flagFalse:
		return v2.UserTrait_Status_STATUS_DISABLED, ""
	case u.Active == flagUnclear:
		return v2.UserTrait_Status_STATUS_UNSPECIFIED, "the attribute active is neither true nor false, or is given as both"
	case u.Active == flagAbsent && othersActive:
		return v2.UserTrait_Status_STATUS_UNSPECIFIED, "the attribute active is missing, although other users have it"
	default:
		return v2.UserTrait_Status_STATUS_ENABLED, ""
	}
}

// profile appends the attributes C1 can map, by the names existing connectors use
// for them and sorted by them, and then those that the configuration chose. Nothing else
// of what the app sends leaves the connector.
func (u *user) profile(profile []attribute, email string) []attribute {
	add := func(key, value string) {
		if strings.TrimSpace(value) != "" {
			profile = append(profile, attribute{key, value})
		}
	}
	work := u.workplace()
	add("cost_center", string(work.CostCenter))
	add("department", string(work.Department))
	add("display_name", u.DisplayName)
	add("division", string(work.Division))
	add("email", email)
	add("employee_number", string(work.EmployeeNumber))
	add("external_id", string(u.ExternalID))
	add("first_name", u.Name.GivenName)
	add("last_name", u.Name.FamilyName)
	add("locale", u.Locale)
	add("login", u.login())
	add("manager", string(work.Manager))
	add("organization", string(work.Organization))
	add("roles", strings.Join(u.roleNames(), ", "))
	add("scim_id", string(u.ID.text))
	add("time_zone", u.TimeZone)
	add("title", u.Title)
	add("user_id", string(u.ID.text))
	add("user_name", string(u.UserName.text))
	add("user_type", u.UserType)
	for key, value := range u.chosen.profile {
		if value == "" {
			continue
		}
		at := slices.IndexFunc(profile, func(one attribute) bool { return one.key == key })
		if at < 0 {
			at = len(profile)
			profile = append(profile, attribute{key: key})
		}
		profile[at].value = value
	}
	return profile
}

// masking remembers whether a text of a resource was masked.
type masking bool

// mask puts U+FFFD in the place of control characters that the host does not take in
// texts for people: all below U+0020 but white space, and U+007F. A title with one must
// not keep its app from being read. Ids, user names and addresses are never masked: two
// could become the same.
func (m *masking) mask(text string) string {
	for i := range len(text) {
		if isUnfit(rune(text[i])) {
			*m = true
			return strings.Map(func(r rune) rune {
				if isUnfit(r) {
					return utf8.RuneError
				}
				return r
			}, text)
		}
	}
	return text
}

func isUnfit(r rune) bool { return r < ' ' && (r < '\t' || r > '\r') || r == 0x7f }

// cut shortens s to at most limit bytes without splitting a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
