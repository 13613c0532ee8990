package scim

import (
	"encoding/json"
	"net/mail"
	"slices"
	"strings"
)

// user is a User resource (RFC 7643 section 4.1) as far as a connector uses it.
// What is not listed here, passwords above all, is never read.
//
// encoding/json matches names without regard to case, as section 2.1 demands,
// and leaves out a member of the wrong type while it reads the others; types of
// this package take the forms that servers are known to send.
type user struct {
	ID          identifier    `json:"id"`
	ExternalID  text          `json:"externalId"`
	UserName    identifier    `json:"userName"`
	DisplayName string        `json:"displayName"`
	NickName    string        `json:"nickName"`
	Name        personName    `json:"name"`
	Active      flag          `json:"active"`
	Emails      values        `json:"emails"`
	Title       string        `json:"title"`
	UserType    string        `json:"userType"`
	Locale      string        `json:"locale"`
	TimeZone    string        `json:"timezone"`
	Roles       values        `json:"roles"`
	Groups      carriedGroups `json:"groups"`
	Meta        meta          `json:"meta"`
	Enterprise  workplace     `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	// SCIM 1.1, as Slack still sends it.
	EnterpriseV1 workplace `json:"urn:scim:schemas:extension:enterprise:1.0"`

	// masked reports whether a text of the account was masked.
	masked masking
	// chosen is what the configuration asked for besides, see readChosen.
	chosen attributeValues
	// extensionRoles are the roles found in extensions this package does not
	// know, see readExtensionRoles.
	extensionRoles values
	// dispute is what disputed returns.
	dispute string
	// unread is the name of a member that holds attributes of the core schema and cannot
	// be read, see readNested.
	unread string
}

// personName is the attribute name (RFC 7643 section 4.1.1).
type personName struct {
	Formatted  string `json:"formatted"`
	GivenName  string `json:"givenName"`
	FamilyName string `json:"familyName"`
}

// meta is the attribute meta (RFC 7643 section 3.1).
type meta struct {
	ResourceType string    `json:"resourceType"`
	Created      timestamp `json:"created"`
}

// workplace is the enterprise extension (RFC 7643 section 4.3).
type workplace struct {
	EmployeeNumber text    `json:"employeeNumber"`
	CostCenter     text    `json:"costCenter"`
	Organization   text    `json:"organization"`
	Division       text    `json:"division"`
	Department     text    `json:"department"`
	Manager        manager `json:"manager"`
}

// manager is who a user reports to: the name if it is sent, else the id.
type manager string

// UnmarshalJSON reads a string or an object, also of SCIM 1.1 (managerId).
func (m *manager) UnmarshalJSON(raw []byte) error {
	var written struct {
		DisplayName string `json:"displayName"`
		Display     string `json:"display"`
		Value       text   `json:"value"`
		ManagerID   text   `json:"managerId"`
	}
	if len(raw) > 0 && raw[0] == '{' {
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal(raw, &written)
	} else {
		_ = written.Value.UnmarshalJSON(raw)
	}
	*m = manager(first(written.DisplayName, written.Display, string(written.Value), string(written.ManagerID)))
	return nil
}

// workplace is the enterprise extension, whichever version the server sends.
func (u *user) workplace() workplace {
	if u.Enterprise == (workplace{}) {
		return u.EnterpriseV1
	}
	return u.Enterprise
}

func (u *user) id() string { return string(u.ID.text) }

func (u *user) name() string { return string(u.UserName.text) }

func (u *user) unclear() bool { return u.Active == flagUnclear }

func (u *user) isMasked() bool { return bool(u.masked) }

func (u *user) hasLogin() bool { return u.login() != "" }

func (u *user) hasActive() bool { return u.Active != flagAbsent }

func (u *user) disputed() string {
	switch {
	case u.ID.contradicts(exactly):
		return "has two different values of id"
	case u.UserName.contradicts(strings.ToLower):
		return "has two different values of userName"
	case u.dispute != "":
		return "has two different values of " + u.dispute
	case u.unread != "" && u.login() == "":
		return unreadable(u.unread)
	}
	return ""
}

// garbled looks at the texts by which accounts are matched with people: where they
// are no valid text, different people have the same.
func (u *user) garbled() string {
	for _, one := range []struct{ attribute, text string }{
		{"userName", string(u.UserName.text)},
		{"externalId", string(u.ExternalID)},
		{"employeeNumber", string(u.workplace().EmployeeNumber)},
		{"login", u.chosen.login},
	} {
		if isGarbled(one.text) {
			return one.attribute
		}
	}
	if slices.ContainsFunc(u.Emails, func(email value) bool { return isGarbled(string(email.Value)) }) ||
		slices.ContainsFunc(u.chosen.emails, isGarbled) {
		return "e-mail address"
	}
	return ""
}

// foreign reports whether a resource in a list of users is a group. Some servers list
// groups among them and mark them so. Any other type is a user by a name of the app's
// own, and so is a group with a user name, which no group has (RFC 7643 section
// 4.2): what is taken too much is seen, what is left out is not.
func (u *user) foreign() bool {
	return strings.EqualFold(u.Meta.ResourceType, "Group") && u.UserName.text == ""
}

// shownName is the best name for people that the user has.
func (u *user) shownName(email string) string {
	return first(
		u.DisplayName,
		u.Name.Formatted,
		strings.TrimSpace(u.Name.GivenName)+" "+strings.TrimSpace(u.Name.FamilyName),
		u.NickName,
		string(u.UserName.text),
		email,
		string(u.ID.text),
	)
}

// emails lists the distinct e-mail addresses, the primary one first: what the
// configuration chose, else the one flagged so, else one for work, else the first.
// Without any, a user name that is an address serves.
func (u *user) emails() []string {
	addresses := u.listedEmails()
	for _, address := range slices.Backward(u.chosen.emails) {
		if isAddress(address) {
			addresses = slices.DeleteFunc(addresses, func(known string) bool { return strings.EqualFold(known, address) })
			addresses = slices.Insert(addresses, 0, address)
		}
	}
	if userName := string(u.UserName.text); len(addresses) == 0 && parsesAsAddress(userName) {
		return []string{userName}
	}
	return addresses
}

// listedEmails are the addresses in the attribute emails, the primary one first.
func (u *user) listedEmails() []string {
	var addresses []string
	primary, work := -1, -1
	for _, email := range u.Emails {
		address := strings.TrimSpace(string(email.Value))
		if !isAddress(address) {
			continue
		}
		at := slices.IndexFunc(addresses, func(known string) bool { return strings.EqualFold(known, address) })
		if at < 0 {
			at = len(addresses)
			addresses = append(addresses, address)
		}
		if email.Primary == flagTrue && primary < 0 {
			primary = at
		}
		if strings.EqualFold(email.Type, "work") && work < 0 {
			work = at
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	if primary < 0 {
		primary = max(work, 0)
	}
	addresses[0], addresses[primary] = addresses[primary], addresses[0]
	return addresses
}

// login is what the user signs in with.
func (u *user) login() string { return first(u.chosen.login, string(u.UserName.text)) }

func decodeUsers(body []byte, c choice) (listHead, []entry, error) {
	head, users, err := readUsers(body, c)
	return head, entries(users), err
}

// readUsers reads a list response of users.
func readUsers(body []byte, c choice) (listHead, []user, error) {
	head, users, plain := plainUsers(body)
	var err error
	if !plain {
		head, users, err = decodeList[user](body)
		readExtensionRoles(body, users)
		readNested(body, users)
	}
	readChosen(body, users, c)
	return head, users, err
}

// isAddress keeps placeholders ("none", "n/a") from being shown as e-mail
// addresses without judging the forms real ones take.
func isAddress(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && domain != "" && !strings.ContainsAny(s, " \t\r\n")
}

func parsesAsAddress(s string) bool {
	address, err := mail.ParseAddress(s)
	return err == nil && address.Address == s
}

// roleNames lists the user's roles for people, each once.
func (u *user) roleNames() []string {
	var names []string
	for _, roles := range []values{u.Roles, u.extensionRoles} {
		for _, role := range roles {
			if name := role.name(); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// first is the first of texts that is not empty, without space around it.
func first(texts ...string) string {
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			return text
		}
	}
	return ""
}
