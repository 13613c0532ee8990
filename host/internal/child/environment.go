package child

import (
	"os"
	"slices"
	"strings"
)

// allowedVariables are what a program sees of the host's environment: enough to
// run, to find the time zone, to reach the network through a proxy and to trust
// the operator's certificates. Everything else, C1 credentials among it, stays
// with the host.
var allowedVariables = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	// Windows programs do not start without these.
	"SystemRoot", "TEMP", "TMP", "USERPROFILE",
}

// Environment returns the host's environment reduced to the allow-list and the further
// names that the operator gave for a program.
func Environment(further []string) []string {
	var environment []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(allowedVariables, name) || slices.Contains(further, name) {
			environment = append(environment, variable)
		}
	}
	return environment
}
