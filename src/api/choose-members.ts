import { choosePlatform, formatPlatform, type Platform } from "../core/index.ts";
import { configPlatform, imageError } from "../image/index.ts";
import type { GroupMember, ImageGroup } from "../local/index.ts";

/**
 * Of the images that leave together those for these platforms: of one platform the image alone, of several a smaller
 * index. All of them where no platform is named.
 * @throws IMAGE_PLATFORM_NOT_FOUND with the platforms that are here
 */
export function chooseMembers(
  group: ImageGroup,
  { name, platforms }: { readonly name: string; readonly platforms: readonly Platform[] },
): ImageGroup {
  if (platforms.length === 0) return group;
  const candidates = group.members.map((member) => ({
    member,
    platform: member.platform ?? configPlatform(member.image.config),
  }));
  const chosen = new Set<GroupMember>();
  for (const wanted of platforms) {
    const found = choosePlatform(candidates, wanted);
    if (found === undefined) throw missing(name, wanted, candidates);
    chosen.add(found.member);
  }
  const members = group.members.filter((member) => chosen.has(member));
  const { index } = group;
  return platforms.length === 1 || index === undefined ? { members } : { members, index };
}

function missing(
  name: string,
  wanted: Platform,
  candidates: readonly { readonly platform: Platform }[],
): Error {
  const available = candidates.map(({ platform }) => formatPlatform(platform));
  return imageError(
    "IMAGE_PLATFORM_NOT_FOUND",
    `find ${formatPlatform(wanted)} in image ${name}: it is not here for that platform`,
    {
      hint: `there is ${available.join(", ")}; \`tsbuild pull --platform\` fetches another one`,
      details: { image: name, wanted: formatPlatform(wanted), available },
    },
  );
}
