package scim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func people(t *testing.T, app string, seed uint64, count int) []scim.Account {
	t.Helper()
	accounts, err := scim.People(app, seed, count)
	require.NoError(t, err)
	require.Len(t, accounts, count)
	return accounts
}

func TestPeople_AreTheSameOnEveryRun(t *testing.T) {
	t.Parallel()
	require.Empty(t, cmp.Diff(people(t, "fullstory", 1, 500), people(t, "fullstory", 1, 500)))
	require.Empty(t, cmp.Diff(people(t, scim.DefaultApp, 1, 50), people(t, "", 1, 50)), "the default app")

	one, another := start(t, scim.Options{Seed: 4, Accounts: 60}), start(t, scim.Options{Seed: 4, Accounts: 60})
	require.Empty(t, cmp.Diff(one.Accounts(), another.readAll(t, 100)))
}

// TestPeople_AreTheSameOnEveryMachine holds people of an earlier day. A change
// here changes everybody's demo and recorded figures: make it on purpose.
func TestPeople_AreTheSameOnEveryMachine(t *testing.T) {
	t.Parallel()
	accounts := people(t, "fullstory", 1, 1000)
	require.Empty(t, cmp.Diff(scim.Account{
		ID:             "u-000001",
		UserName:       "samuel.achebe@fullstory.example.com",
		DisplayName:    "Samuel Achebe",
		GivenName:      "Samuel",
		FamilyName:     "Achebe",
		Emails:         []string{"samuel.achebe@fullstory.example.com"},
		Active:         true,
		Roles:          []string{"Admin"},
		Title:          "Support Specialist",
		Department:     "Büro Köln",
		EmployeeNumber: "600001",
		Created:        time.Date(2022, time.January, 19, 1, 46, 1, 0, time.UTC),
		LastModified:   time.Date(2022, time.November, 10, 8, 10, 40, 0, time.UTC),
	}, accounts[0]))
	require.Equal(t, []string{
		"jorgen.aagaard@fullstory.example.com", "olivia.smith", "leila.vanderberg2@fullstory.example.com",
		"lukasz.wojcik@design-tool.example.com",
	}, []string{
		accounts[1].UserName, accounts[19].UserName, accounts[999].UserName,
		people(t, "design-tool", 1, 1)[0].UserName,
	})
}

func TestPeople_StayTheSameWhenThereAreMore(t *testing.T) {
	t.Parallel()
	many := people(t, "fullstory", 3, 1000)
	for _, count := range []int{1, 19, 20, 21, 333} {
		require.Empty(t, cmp.Diff(many[:count], people(t, "fullstory", 3, count)))
	}
}

func TestPeople_DifferBetweenAppsWithEqualIDs(t *testing.T) {
	t.Parallel()
	one := people(t, "fullstory", 1, 1000)
	for name, another := range map[string][]scim.Account{
		"another app and seed": people(t, "design-tool", 2, 1000),
		"another app":          people(t, "design-tool", 1, 1000),
		"an app not known":     people(t, "Werkbank 3000", 1, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range one {
				require.Equal(t, one[i].ID, another[i].ID)
				require.NotEqual(t, one[i].UserName, another[i].UserName)
				require.NotEqual(t, one[i].Created, another[i].Created)
			}
		})
	}
}

func TestPeople_DifferWithTheSeed(t *testing.T) {
	t.Parallel()
	one, another := people(t, "fullstory", 1, 1000), people(t, "fullstory", 2, 1000)
	for i := range one {
		require.Equal(t, one[i].ID, another[i].ID)
		require.NotEmpty(t, cmp.Diff(one[i], another[i]))
	}
}

func TestPeople_ShareNoIDUserNameOrAddress(t *testing.T) {
	t.Parallel()
	var ids, userNames, addresses []string
	for _, account := range people(t, "fullstory", 1, 100_000) {
		ids = append(ids, account.ID)
		userNames = append(userNames, account.UserName)
		addresses = append(addresses, account.Emails...)
	}
	for what, all := range map[string][]string{"id": ids, "user name": userNames, "address": addresses} {
		slices.Sort(all)
		require.Len(t, slices.Compact(slices.Clone(all)), len(all), what)
	}
}

func TestPeople_IncludeEveryOddKindFromTwentyOn(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(scim.Account) bool{
		"inactive":          func(a scim.Account) bool { return !a.Active },
		"active not sent":   func(a scim.Account) bool { return a.OmitActive },
		"no e-mail":         func(a scim.Account) bool { return len(a.Emails) == 0 && isAddress(a.UserName) },
		"nothing like one":  func(a scim.Account) bool { return len(a.Emails) == 0 && !isAddress(a.UserName) },
		"several e-mails":   func(a scim.Account) bool { return len(a.Emails) > 1 },
		"plain user name":   func(a scim.Account) bool { return len(a.Emails) > 0 && !isAddress(a.UserName) },
		"only display name": func(a scim.Account) bool { return a.DisplayName != "" && a.GivenName+a.FamilyName == "" },
		"only name parts":   func(a scim.Account) bool { return a.DisplayName == "" && a.GivenName != "" && a.FamilyName != "" },
		"only given name":   func(a scim.Account) bool { return a.DisplayName+a.FamilyName == "" && a.GivenName != "" },
		"not ASCII":         func(a scim.Account) bool { return !isASCII(a.DisplayName + a.GivenName + a.FamilyName) },
		"no role":           func(a scim.Account) bool { return len(a.Roles) == 0 },
		"several roles":     func(a scim.Account) bool { return len(a.Roles) > 1 && a.Roles[0] != a.Roles[1] },
		"ordinary":          isOrdinary,
		"an employee":       func(a scim.Account) bool { return a.Department != "" && a.EmployeeNumber != "" },
		"no employee":       func(a scim.Account) bool { return a.Department == "" && a.EmployeeNumber == "" },
	}
	for _, app := range []string{"fullstory", "design-tool", "another"} {
		for seed := range uint64(50) {
			accounts := people(t, app, seed, 20)
			for name, isKind := range kinds {
				require.True(t, slices.ContainsFunc(accounts, isKind), "%s, seed %d: %s", app, seed, name)
			}
		}
	}
}

func TestPeople_OneInTenIsInactive(t *testing.T) {
	t.Parallel()
	inactive := 0
	for _, account := range people(t, "fullstory", 1, 1000) {
		if !account.Active {
			inactive++
			require.False(t, account.OmitActive, "the service sends it")
		}
	}
	require.Equal(t, 100, inactive)
}

func TestPeople_OfFullstoryHaveItsRoles(t *testing.T) {
	t.Parallel()
	roles := map[string]bool{}
	for _, account := range people(t, "fullstory", 1, 250) {
		for _, role := range account.Roles {
			roles[role] = true
		}
	}
	require.Equal(t, map[string]bool{"Admin": true, "Architect": true, "Standard": true, "Explorer": true, "Guest": true}, roles)
}

func TestPeople_AreModifiedAfterTheyAreCreated(t *testing.T) {
	t.Parallel()
	for _, account := range people(t, "fullstory", 1, 1000) {
		require.False(t, account.LastModified.Before(account.Created))
		require.Equal(t, account.Created, account.Created.UTC().Truncate(time.Second))
	}
}

func TestPeople_RefuseANegativeNumber(t *testing.T) {
	t.Parallel()
	_, err := scim.People("fullstory", 1, -1)
	require.EqualError(t, err, "the number of accounts must not be negative, unlike -1")
}

func TestPeople_HaveTheDomainOfTheirApp(t *testing.T) {
	t.Parallel()
	for app, domain := range map[string]string{
		"fullstory":     "fullstory.example.com",
		"design-tool":   "design-tool.example.com",
		"Werkbank 3000": "werkbank-3000.example.com",
		"デザイン":          "app.example.com",
	} {
		for _, account := range people(t, app, 1, 200) {
			if len(account.Emails) > 0 {
				require.True(t, strings.HasSuffix(account.Emails[0], "@"+domain), "%s: %s", app, account.Emails[0])
			}
			for _, address := range account.Emails {
				require.Regexp(t, `^[a-z0-9.+-]+@[a-z0-9-]+\.example\.(com|net)$|@example\.org$`, address)
			}
		}
	}
}

func isOrdinary(a scim.Account) bool {
	return a.Active && !a.OmitActive && len(a.Emails) == 1 && a.UserName == a.Emails[0] && len(a.Roles) == 1 &&
		strings.Contains(a.DisplayName, a.GivenName) && strings.Contains(a.DisplayName, a.FamilyName)
}

func isAddress(s string) bool {
	return strings.Contains(s, "@")
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

func ExampleServer_Accounts() {
	server, err := scim.New(scim.Options{App: "design-tool", Seed: 2, Accounts: 3, Token: "secret"})
	if err != nil {
		panic(err)
	}
	for _, account := range server.Accounts() {
		fmt.Println(account.ID, account.UserName)
	}
	// Output:
	// u-000001 tariq.haddad@design-tool.example.com
	// u-000002 leila.castellanos@design-tool.example.com
	// u-000003 duc.dang@design-tool.example.com
}
