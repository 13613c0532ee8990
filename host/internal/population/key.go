package population

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// By is what accounts and rows are compared by.
type By struct {
	// Attribute of the account: "email", "login", "id" or "name".
	Attribute string
	// Column of the CSV file with the same; letter case, spaces, hyphens and underscores
	// of its name do not matter.
	Column string
}

// Attributes are what accounts can be compared by.
var Attributes = []string{"email", "login", "id", "name"}

// ParseBy returns what to compare by: "email", or "email=Work Email" where the column of the
// CSV file has another name than the attribute.
func ParseBy(text string) (By, error) {
	attribute, column, renamed := strings.Cut(text, "=")
	by := By{Attribute: plainName(attribute), Column: attribute}
	if renamed {
		by.Column = column
	}
	if !slices.Contains(Attributes, by.Attribute) {
		return By{}, fmt.Errorf("accounts cannot be compared by %q, but by one of: %s; where the column of the CSV file has another name, write %s=COLUMN",
			attribute, strings.Join(Attributes, ", "), Attributes[0])
	}
	if plainName(by.Column) == "" {
		return By{}, fmt.Errorf("%q names no column of the CSV file behind the =", text)
	}
	return by, nil
}

// plainName is the name of a column or an attribute without what people write differently.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_\u00a0\t\r\n", r) {
			return -1
		}
		return r
	}, fold(name))
}

// fold makes texts the same that differ only in letter case, in the way accents are encoded,
// or in white space around them.
func fold(text string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(text))))
}

// key is what a value of the attribute is compared by; empty for a value that is none.
func (b By) key(value string) string {
	switch b.Attribute {
	case "id":
		return norm.NFC.String(strings.TrimSpace(value)) // Ids that differ in case are two.
	case "name":
		return strings.Join(strings.Fields(fold(value)), " ")
	default:
		return fold(value)
	}
}

// keysOfCell returns what a row can be found by; a cell may have several e-mail addresses, and
// the names in front of them.
func (b By) keysOfCell(cell string) []string {
	values := []string{cell}
	if b.Attribute == "email" && strings.Contains(cell, "@") {
		values = slices.DeleteFunc(strings.FieldsFunc(cell, betweenAddresses), func(part string) bool { return !strings.Contains(part, "@") })
	}
	return b.keys(values)
}

func betweenAddresses(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(";,<>", r) }

// keysOf returns what an account can be found by; its external id instead of its id where
// that is meant.
func (b By) keysOf(account syncfile.Account, external bool) []string {
	var values []string
	switch {
	case b.Attribute == "email":
		values = append([]string{account.Email}, account.OtherEmails...)
	case b.Attribute == "login":
		values = []string{account.Login}
	case b.Attribute == "name":
		values = []string{account.DisplayName}
	case external:
		values = []string{account.ExternalID}
	default:
		values = []string{account.ID}
	}
	return b.keys(values)
}

// keys returns the keys of values, without repeats and without empty ones.
func (b By) keys(values []string) []string {
	var keys []string
	for _, value := range values {
		if key := b.key(value); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
