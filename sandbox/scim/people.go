package scim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// People makes up who has an account in an app. The same app, seed and count
// make the same people everywhere, and a greater count adds people at the end.
// Ids count up from "u-000001" in every app, so that two apps have equal ids for
// different people; addresses are in a domain of the app's, below example.com.
//
// One person in ten is inactive. Among the first twenty, and among every twenty
// after them, each odd kind occurs: no e-mail address, several of them, a user
// name that is no address, only a display name, only the parts of a name, only a
// given name, nothing sent about being active, a name that is not ASCII, no
// role, several roles.
//
// It fails if the count is negative.
func People(app string, seed uint64, count int) ([]Account, error) {
	if count < 0 {
		return nil, fmt.Errorf("the number of accounts must not be negative, unlike %d", count)
	}
	if app == "" {
		app = DefaultApp
	}
	c := &generator{
		random: repeatable(app, seed, 0),
		domain: domain(app),
		roles:  rolesOf(app),
		logins: make(map[string]int),
	}
	people := make([]Account, count)
	for i := range people {
		people[i] = c.person(i + 1)
	}
	return people, nil
}

// repeatable gives the same numbers for the same app and seed, and others for
// another stream.
func repeatable(app string, seed, stream uint64) *rand.Rand {
	hashed := fnv.New64a()
	hashed.Write([]byte(app))                                 // A hash takes everything.
	return rand.New(rand.NewPCG(seed, hashed.Sum64()+stream)) //nolint:gosec // To be repeatable is the point.
}

// generator makes up one person after the other.
type generator struct {
	random *rand.Rand
	domain string
	roles  []role
	// logins counts the people of each name, so that no two have one login.
	logins map[string]int
	// hand is what is left of the kinds that were last dealt.
	hand []kind
}

func (c *generator) person(number int) Account {
	kind := c.deal()
	name := c.name(kind == otherScript)
	login := c.login(name)
	account := Account{
		ID:          fmt.Sprintf("u-%06d", number),
		UserName:    login + "@" + c.domain,
		DisplayName: name.displayed(),
		GivenName:   name.given.shown,
		FamilyName:  name.family.shown,
		Emails:      []string{login + "@" + c.domain},
		Active:      true,
		Roles:       []string{c.role()},
	}
	c.employ(&account, number)
	c.date(&account)
	c.distort(&account, kind, login)
	return account
}

// login is a name for addresses: ASCII, and no other person's.
func (c *generator) login(name fullName) string {
	login := name.given.ascii + "." + name.family.ascii
	c.logins[login]++
	if namesakes := c.logins[login]; namesakes > 1 {
		return fmt.Sprintf("%s%d", login, namesakes)
	}
	return login
}

// employ gives most people what an identity provider and an employer know.
func (c *generator) employ(account *Account, number int) {
	if c.oneIn(2) {
		account.Title = pick(c.random, titles)
	}
	if !c.oneIn(3) {
		account.Department = pick(c.random, departments)
		account.EmployeeNumber = fmt.Sprintf("%d%05d", 1+c.random.IntN(9), number)
	}
	if !c.oneIn(4) {
		account.ExternalID = "00u" + c.letters(14)
	}
}

// date gives the account a past: made within six years, changed within the
// year after.
func (c *generator) date(account *Account) {
	const (
		day      = 24 * 60 * 60
		firstDay = 1546300800 // 2019-01-01T00:00:00Z
	)
	created := int64(firstDay) + c.random.Int64N(6*365*day)
	account.Created = time.Unix(created, 0).UTC()
	account.LastModified = time.Unix(created+c.random.Int64N(365*day), 0).UTC()
}

// letters is a random word of lower-case letters and digits.
func (c *generator) letters(length int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	word := make([]byte, length)
	for i := range word {
		word[i] = alphabet[c.random.IntN(len(alphabet))]
	}
	return string(word)
}

func (c *generator) oneIn(n int) bool {
	return c.random.IntN(n) == 0
}

func pick[T any](random *rand.Rand, from []T) T {
	return from[random.IntN(len(from))]
}

// domain is the app's name as a label below example.com, which RFC 2606
// reserves: no address of ours is anybody's.
func domain(app string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		default:
			return '-'
		}
	}, strings.ToLower(app))
	if label = strings.Trim(label, "-"); label == "" {
		label = "app"
	}
	return label + ".example.com"
}

var (
	titles = []string{
		"Software Engineer", "Product Manager", "Data Analyst", "UX Researcher", "Account Executive",
		"Support Specialist", "VP, Growth", "Ingénieure qualité", "Contractor",
	}
	departments = []string{"Engineering", "Product", "Design", "Customer Success", "Sales", "Finance", "R&D", "Büro Köln"}
)
