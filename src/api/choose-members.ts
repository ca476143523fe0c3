import { choosePlatform, type Platform } from "../core/index.ts";
import { configPlatform } from "../image/index.ts";
import type { GroupMember, ImageGroup } from "../local/index.ts";
import { missingPlatform } from "./missing-image.ts";

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
    if (found === undefined) throw missingPlatform(`image ${name}`, { wanted, candidates });
    chosen.add(found.member);
  }
  const members = group.members.filter((member) => chosen.has(member));
  const { index } = group;
  return platforms.length === 1 || index === undefined ? { members } : { members, index };
}
