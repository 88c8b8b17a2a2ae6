"""What comes from outside: markets and weather, which many meet at once; houses, water, and slow slides."""

import numpy as np

from fpml.simulate.causes import BUSINESS, DISASTER, HOUSING, OTHER, WATER
from fpml.simulate.draws import Draws
from fpml.simulate.profile import Profile
from fpml.simulate.state import Township

FARM, WAGES, KIN, SHOP = 0, 1, 2, 3
# An announced bolt falls so many months on, or up to so many less one later: while the sign is still new to a rule.
SOON = (3, 2)


def turn(place: Township, common: Draws, profile: Profile) -> None:
    """One month of markets, the same for every township: their draws belong to the county."""
    markets = place.markets
    worlds = len(markets)
    markets.pork = 0.96 * markets.pork + 0.055 * common.normal("pork", worlds)
    markets.crops = 0.95 * markets.crops + 0.02 * common.normal("crops", worlds)
    shock = 0.02 * common.of("sectors").standard_normal((worlds, 5))
    slump = common.of("slumps").random((worlds, 5)) < profile.slumps
    markets.sectors = 0.93 * markets.sectors + shock - 0.25 * slump
    markets.sectors[:, [0, 4]] *= 0.5
    begins = (markets.plague == 0) & common.chance("plague", profile.plagues, worlds)
    markets.plague = np.where(begins, 5, np.maximum(markets.plague - 1, 0))


def weather(place: Township, common: Draws, draws: Draws, profile: Profile) -> None:
    """Floods in early summer along the rivers, droughts in late summer in the hills; a season's yields by village."""
    villages, season = place.villages, place.month % 12
    n, world = len(villages), villages.world
    worlds = len(place.markets)
    villages.response[:] = 0
    if season == 2:
        villages.yields = np.ones(n)
    wet = common.uniform("rain", worlds)[world] < profile.floods * (season in (4, 5, 6))
    dry = common.uniform("sun", worlds)[world] < profile.floods * (season in (6, 7, 8))
    luck = draws.uniform("village weather", n)
    flooded, parched = wet & (luck < villages.flood_risk), dry & (luck < 0.6 * villages.mountain)
    depth = draws.uniform("depth", n)
    hit = flooded | parched
    villages.yields[hit] *= (1 - 0.75 * depth)[hit]
    villages.response[flooded] = np.where(depth > 0.8, 2, np.where(depth > 0.5, 3, 4))[flooded]
    villages.response[parched] = 4


def strike(place: Township, draws: Draws, profile: Profile) -> None:
    """One month of blows to households, in place: floods in the house, decay, water, and slides that nobody reports."""
    homes, villages = place.homes, place.villages
    n, month = len(homes), place.month
    response, depth = villages.response[homes.village], villages.yields[homes.village]
    flooded = homes.active & (response > 0) & (villages.flood_risk[homes.village] > 0.3)
    luck = draws.uniform("flood", n)
    struck = flooded & (luck < 0.25 * (1 - depth))
    value = 100 * np.rint(draws.of("things").gamma(1.2, 5_000, n))
    homes.hurt[:, -1] = np.where(struck, value, 0)
    homes.strike[struck] |= DISASTER
    giving = (homes.decay == 0) & (homes.grade < 3) & homes.active
    begins = giving & draws.chance("decay", profile.decay * homes.grade**2 * (1 + 20 * struck), n)
    homes.decay[begins] = 1 + profile.dials.months_before(draws.uniform("cracks", n), 1, 7)[begins]
    homes.decay = np.where(begins, homes.decay, np.maximum(homes.decay - 1, 0))
    falls = (homes.decay == 1) & ~begins | begins & (homes.decay == 1)
    homes.grade[falls] = np.where(luck[falls] < 0.35, 4, 3)
    homes.strike[falls] |= HOUSING
    homes.decay[falls] = 0
    dry = (homes.dry == 0) & homes.active
    fails = dry & draws.chance("well", profile.dry * (1 + 4 * villages.mountain[homes.village]), n)
    homes.dry = np.where(fails, 1 + (draws.of("repair").exponential(0.9, n)).astype(int), np.maximum(homes.dry - 1, 0))
    homes.dry_since = np.where(homes.dry > 0, np.where(fails, month, homes.dry_since), 0)
    homes.strike[(homes.dry > 0) & (month - homes.dry_since >= 1)] |= WATER
    _slide(place, draws, profile)


def bolt(place: Township, draws: Draws, profile: Profile) -> None:
    """A world without precursors: a house falls down and the household with it, whoever lives there.

    Some blows are announced some months before, by a certificate that as many as nineteen times others get for nothing:
    a rule sees it, and there is nothing else to see.
    """
    homes, people, dials = place.homes, place.people, profile.dials
    n = len(homes)
    rate = (dials.base_rate or 0.2) / 1200
    announced = rate * (dials.rules_find or 30.0) / 100
    luck = draws.uniform("bolt", n)
    free = homes.active & (homes.grade < 3) & (homes.omen == 0)
    falls = (homes.omen == 1) | (free & (luck < rate - announced))
    homes.omen = np.maximum(homes.omen - 1, 0)
    first = np.flatnonzero(people.present & (people.relation == 1) & (people.disability == 0))
    first = first[np.unique(people.home[first], return_index=True)[1]]
    can = np.zeros(n, bool)
    can[people.home[first]] = True
    told = free & can & ~falls & (luck > 1 - 20 * announced)
    true = told & (luck > 1 - announced)
    homes.omen[true] = SOON[0] + (draws.uniform("how soon", n)[true] * SOON[1]).astype(np.int64)
    homes.announced[told] = place.month
    people.disability[first[told[people.home[first]]]] = 2
    homes.grade[falls] = 4
    homes.strike[falls] |= HOUSING


def _slide(place: Township, draws: Draws, profile: Profile) -> None:
    """What a household lives on runs down for a year or two without any event, and may come back."""
    homes = place.homes
    n = len(homes)
    steady = homes.active & (homes.slide == 0) & (homes.slump > -0.05)
    begins = steady & draws.chance("slide", profile.slides, n)
    months = 6 + (draws.uniform("how long", n) * 24).astype(np.int64)
    deep = 0.5 + 1.6 * draws.uniform("how deep", n)
    homes.slide[begins] = (-deep / months)[begins]
    homes.slide_left[begins] = months[begins]
    rng = draws.of("what slides")
    earner = place.count(place.people.present & (place.people.job > 0)) > 0
    lives_on = np.select([homes.shop > 0, earner, homes.kin > 30_000], [SHOP, WAGES, KIN], FARM)
    homes.slide_kind[begins] = np.where(rng.random(n) < 0.2, FARM, lives_on)[begins]
    homes.slump += np.where(homes.slide_left > 0, homes.slide, 0.0)
    homes.slide_left = np.maximum(homes.slide_left - 1, 0)
    homes.slide[homes.slide_left == 0] = 0
    homes.slump *= np.where(homes.slide == 0, 0.96, 1.0)
    deepens = (homes.slide < 0) & (homes.slump < -0.3)
    homes.strike[deepens & (homes.slide_kind == SHOP)] |= BUSINESS
    homes.strike[deepens & (homes.slide_kind != SHOP)] |= OTHER
