package settings

import (
	"net/url"

	"go.yaml.in/yaml/v3"
)

// Plain returns the keys of a plugin's configuration, with the values that are no secret
// whatever the key means: true, false, and addresses without what may be a credential in them.
// The others are empty.
func (s *Settings) Plain() map[string]string {
	plain := map[string]string{}
	if s == nil {
		return plain
	}
	for _, one := range s.file.Entries {
		plain[one.Key] = ""
		if one.Value.Kind != yaml.ScalarNode || !one.Value.Written || !s.isResolved {
			continue
		}
		text := one.Value.Text.Reveal()
		if address, err := url.Parse(text); text == "true" || text == "false" || err == nil && address.Host != "" && address.User == nil && address.RawQuery == "" && address.Fragment == "" && len(address.Path) < 2 {
			plain[one.Key] = text
		}
	}
	return plain
}
