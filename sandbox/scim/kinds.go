package scim

import "slices"

// kind is what is odd about a person's account, if anything.
type kind int

const (
	ordinary kind = iota
	inactive
	noEmail
	nothingToWriteTo
	severalEmails
	plainUserName
	onlyDisplayName
	onlyNameParts
	onlyGivenName
	activeNotSaid
	otherScript
	noRole
	severalRoles
)

// dealt is what every twenty people hold between them.
var dealt = [20]kind{
	inactive, inactive,
	noEmail, nothingToWriteTo,
	severalEmails, severalEmails,
	plainUserName,
	onlyDisplayName, onlyNameParts, onlyGivenName,
	activeNotSaid,
	otherScript,
	noRole, severalRoles,
	// The other six are ordinary.
}

// deal takes the next kind. Each twenty are shuffled, so that no kind sits at
// the same place of every page.
func (c *generator) deal() kind {
	if len(c.hand) == 0 {
		c.hand = slices.Clone(dealt[:])
		c.random.Shuffle(len(c.hand), func(i, j int) { c.hand[i], c.hand[j] = c.hand[j], c.hand[i] })
	}
	next := c.hand[0]
	c.hand = c.hand[1:]
	return next
}

// distort makes an ordinary account one of its kind.
func (c *generator) distort(account *Account, kind kind, login string) {
	switch kind {
	case ordinary, otherScript:
	case inactive:
		account.Active = false
	case noEmail:
		account.Emails = nil
	case nothingToWriteTo:
		account.Emails = nil
		account.UserName = login
	case severalEmails:
		account.Emails = append(account.Emails, login+"@home.example.net")
		if c.oneIn(2) {
			account.Emails = append(account.Emails, login+"+alerts@example.org")
		}
	case plainUserName:
		account.UserName = pick(c.random, []string{`CORP\`, "", "svc_"}) + login
	case onlyDisplayName:
		account.GivenName, account.FamilyName = "", ""
	case onlyNameParts:
		account.DisplayName = ""
	case onlyGivenName:
		account.DisplayName, account.FamilyName = "", ""
	case activeNotSaid:
		account.OmitActive = true
	case noRole:
		account.Roles = nil
	case severalRoles:
		for len(account.Roles) < 2 {
			if role := c.role(); role != account.Roles[0] {
				account.Roles = append(account.Roles, role)
			}
		}
	}
}
