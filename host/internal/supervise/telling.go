package supervise

import (
	"slices"
	"strings"
	"unicode"
)

// tellingEnds are how the name of a field of the log ends whose value is nobody's
// business, without case and punctuation: a password that a connector has made up
// is in no configuration, and cannot be known by its value.
var tellingEnds = []string{
	"password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "authorization", "cookie",
	"accesstoken", "apitoken", "authtoken", "bearertoken", "idtoken", "refreshtoken", "sessiontoken",
}

// tellsSecret says that the field of this name holds a secret. Page tokens are none.
func tellsSecret(name string) bool {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return name == "token" || slices.ContainsFunc(tellingEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}
