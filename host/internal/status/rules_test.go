package status_test

import (
	"errors"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// TestRules_NameMetricsThatExist: an alert on a metric, or a label, that there is not would
// never fire.
func TestRules_NameMetricsThatExist(t *testing.T) {
	t.Parallel()
	b := newBoard()
	synced(b, "1", 40, 25, nil)
	b.PluginChanged(fullstory, "ready", 0, nil, nil)
	b.Credentials(fullstory, "", []secret.Credential{{Reference: "${file:token}", Expires: time.Now()}})
	b.Reloaded(errors.New("it is refused"))
	labels := map[string]map[string]bool{} // of each metric
	for name, family := range metricsOf(t, b) {
		labels[name] = map[string]bool{}
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels[name][pair.GetName()] = true
		}
	}

	text, err := os.ReadFile("../../../deploy/prometheus-rules.yaml")
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &rules))
	metric, label := regexp.MustCompile(`\bbaton_host_[a-z_]+`), regexp.MustCompile(`\$labels\.(\w+)|\{(\w+)=`)
	alerts := map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			require.False(t, alerts[rule.Alert], rule.Alert)
			alerts[rule.Alert] = true
			names := metric.FindAllString(rule.Expr, -1)
			require.Len(t, names, 1, rule.Alert)
			require.Contains(t, labels, names[0], rule.Alert)
			for _, found := range label.FindAllStringSubmatch(rule.Expr+rule.Annotations["summary"], -1) {
				require.True(t, labels[names[0]][found[1]+found[2]], "%s: %s", rule.Alert, found[0])
			}
		}
	}
	require.Len(t, alerts, 13)
}
