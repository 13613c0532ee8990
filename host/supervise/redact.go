package supervise

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// shortestSecret is the least length of a value that is blanked: blanking
// shorter ones would garble every line and still hide nothing.
const shortestSecret = 4

// redactor blanks the values of secrets in what a plugin says, also as they
// look in JSON, in a URL or in base64, and line by line.
type redactor struct {
	replacer *strings.Replacer
}

func newRedactor(values []string) *redactor {
	var found []string
	add := func(form string) {
		if len(form) >= shortestSecret {
			found = append(found, form)
		}
	}
	for _, value := range values {
		forms := append([]string{value}, strings.Split(value, "\n")...)
		for _, form := range forms {
			add(form)
			add(url.QueryEscape(form))
			add(url.PathEscape(form))
			add(base64.StdEncoding.EncodeToString([]byte(form)))
			add(base64.RawURLEncoding.EncodeToString([]byte(form)))
			if quoted, err := json.Marshal(form); err == nil {
				add(strings.Trim(string(quoted), `"`))
			}
		}
	}
	// The longest first: one may hold another, and the rest of it would tell.
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(found))
	for _, form := range found {
		pairs = append(pairs, form, "(secret)")
	}
	return &redactor{replacer: strings.NewReplacer(pairs...)}
}

func (r *redactor) blank(text string) string {
	return r.replacer.Replace(text)
}
